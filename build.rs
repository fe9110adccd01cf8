//! Refuses the targets that this crate cannot serve, with one sentence; and switches to the atomics of a model checker.

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
    // The model checkers' runs say which it is; `prim.rs` is what that switches. Not by RUSTFLAGS, so that both share what they need.
    println!("cargo:rustc-check-cfg=cfg(loom, shuttle)");
    println!("cargo:rerun-if-env-changed=OFFSPRING_MODEL");
    if std::env::var_os("CARGO_CFG_MODELS").is_some() {
        let model = std::env::var("OFFSPRING_MODEL").unwrap_or_default();
        println!("cargo:rustc-cfg={model}");
    }
}
