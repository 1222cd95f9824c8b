//! Says where libailive is: `$AILIVE_LIB_DIR`, else what pkg-config knows, else the linker's own folders.
use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=AILIVE_LIB_DIR");
    println!("cargo:rustc-link-lib=dylib=ailive");
    if let Ok(folder) = env::var("AILIVE_LIB_DIR") {
        println!("cargo:rustc-link-search=native={}", folder);
        return;
    }
    // A system without pkg-config, or without our file for it, is no error: the linker looks in its own folders.
    if let Ok(out) = Command::new("pkg-config").args(["--libs-only-L", "ailive"]).output() {
        for flag in String::from_utf8_lossy(&out.stdout).split_whitespace() {
            println!("cargo:rustc-link-search=native={}", flag.trim_start_matches("-L"));
        }
    }
}
