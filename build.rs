//! Refuses the targets that this crate cannot serve, with one sentence; nothing else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let width = std::env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
    if os != "linux" || width != "64" {
        eprintln!(
            "offspring needs 64-bit Linux (futexes, memfd, pidfds); the target is {os}, {width}-bit"
        );
        std::process::exit(1);
    }
    // Set by the package in models/; `prim.rs` is what they switch.
    println!("cargo:rustc-check-cfg=cfg(loom, shuttle)");
}
