#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubecertd_fuzz::answers::check(data));
