/* Start Debian's etcd 3.5 with the flags that kubeadm writes for etcd 3.6. */
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argc;
    for (char **argument = argv + 1; *argument; argument++) {
        if (!strcmp(*argument, "--feature-gates=InitialCorruptCheck=true"))
            *argument = "--experimental-initial-corrupt-check=true";
        else if (!strncmp(*argument, "--watch-progress-notify-interval=", 33))
            *argument = "--experimental-watch-progress-notify-interval=5s";
    }
    argv[0] = "/usr/local/bin/etcd-debian";
    execv(argv[0], argv);
    return 127;
}
