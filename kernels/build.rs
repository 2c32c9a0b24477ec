//! Compiles the CUDA kernels to PTX for the feature `cuda`; without it there is nothing to do.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest cards that are built for: those with TensorFloat-32. The driver compiles PTX for newer ones.
const TARGET: &str = "compute_80";

fn main() {
    println!("cargo:rerun-if-changed=kernels");
    println!("cargo:rerun-if-env-changed=NVCC");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let sources =
        std::fs::read_dir("kernels").map(|entries| entries.flatten().map(|entry| entry.path()));
    for source in sources.into_iter().flatten() {
        if source
            .extension()
            .is_some_and(|extension| extension == "cu")
        {
            compile(&source, &out);
        }
    }
}

fn compile(source: &Path, out: &Path) {
    let target = out.join(source.with_extension("ptx").file_name().unwrap_or_default());
    let compiler = compiler();
    // Products and sums are not contracted: the processor's results are the specification.
    let status = Command::new(&compiler)
        .args([
            "-ptx",
            "-O3",
            "-std=c++17",
            "-fmad=false",
            "-arch",
            TARGET,
            "-o",
        ])
        .arg(&target)
        .arg(source)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => fail(&format!("{} does not compile", source.display())),
        Err(error) => fail(&format!(
            "{}: {error}; the feature `cuda` needs the CUDA toolkit: set CUDA_HOME to its folder",
            compiler.display()
        )),
    }
}

fn compiler() -> PathBuf {
    let of_toolkit = || Some(PathBuf::from(std::env::var_os("CUDA_HOME")?).join("bin/nvcc"));
    let named = std::env::var_os("NVCC").map(PathBuf::from);
    named.or_else(of_toolkit).unwrap_or_else(|| "nvcc".into())
}

fn fail(why: &str) -> ! {
    println!("cargo:warning={why}");
    std::process::exit(1);
}
