/* Run a program and write its wall time in nanoseconds, peak memory in KiB and exit code to a file.
 * In C because a child's peak counts its parent's memory until exec, which would be an interpreter's.
 * usage: measure RESULT PROGRAM ARGUMENTS... */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec began, ended;
    struct rusage usage;
    int status = 0;
    if (argc < 3)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t child = fork();
    if (child == 0) {
        execv(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    FILE *result = fopen(argv[1], "w");
    if (!result)
        return 1;
    fprintf(result, "%lld %ld %d\n", (ended.tv_sec - began.tv_sec) * 1000000000LL + ended.tv_nsec - began.tv_nsec,
            usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128);
    return fclose(result) != 0;
}
