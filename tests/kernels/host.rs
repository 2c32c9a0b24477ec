//! The bodies of the CUDA kernels on the processor: compiled as C++ with `shim.hpp`, which has fibers for threads.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{Result, bail};
use libloading::Library;
use maskscope::ops::kernels::{Arg, Kernel, Launcher, SOURCES, Size};

const SHIM: &str = include_str!("shim.hpp");

/// Kernels share their statics and fibers: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

type Run = unsafe extern "C" fn(
    kernel: u32,
    grid: *const u32,
    threads: u32,
    arguments: *mut *mut c_void,
    kinds: *const u8,
    count: u32,
) -> i32;

/// Runs kernels on the processor.
pub struct Host(&'static Compiled);

struct Compiled {
    names: Vec<String>,
    library: Library,
}

/// Words that kernels write through their pointers.
pub struct Words(UnsafeCell<Box<[u32]>>);

impl Words {
    pub fn floats(&self) -> Vec<f32> {
        self.words().into_iter().map(f32::from_bits).collect()
    }

    fn words(&self) -> Vec<u32> {
        // SAFETY: no kernel runs while a test reads: `launch` returns when it is done.
        unsafe { (*self.0.get()).to_vec() }
    }

    fn pointer(&self) -> *mut c_void {
        // SAFETY: as in `words`.
        unsafe { (*self.0.get()).as_mut_ptr().cast() }
    }
}

impl Host {
    /// None without a C++ compiler, which is an error in CI.
    pub fn get() -> Option<Self> {
        static COMPILED: OnceLock<Option<Compiled>> = OnceLock::new();
        COMPILED.get_or_init(compile).as_ref().map(Self)
    }

    pub fn floats(&self, values: &[f32]) -> Words {
        let words = values.iter().map(|value| value.to_bits()).collect();
        Words(UnsafeCell::new(words))
    }
}

/// Every kernel of a source: the name behind `__global__ void`.
pub fn names(source: &str) -> Vec<String> {
    let starts = source.split("__global__ void ").skip(1);
    let name = |start: &str| start.split('(').next().unwrap_or_default().to_owned();
    starts.map(name).collect()
}

fn compile() -> Option<Compiled> {
    let folder = tempfile::tempdir().unwrap();
    let mut names_of_all = Vec::new();
    let mut text = String::from(SHIM);
    for (file, source) in SOURCES {
        // Files have helpers of the same name.
        writeln!(text, "namespace file_{file} {{\n{source}\n}}").unwrap();
        for name in names(source) {
            names_of_all.push((file, name));
        }
    }
    text += "extern \"C\" int run(unsigned kernel, const unsigned* grid, unsigned threads, void** arguments, const char* kinds, unsigned count) {\nswitch (kernel) {\n";
    for (index, (file, name)) in names_of_all.iter().enumerate() {
        writeln!(
            text,
            "case {index}: return shim::launch(file_{file}::{name}, grid, threads, arguments, kinds, count);"
        )
        .unwrap();
    }
    text += "}\nreturn 2;\n}\n";
    let (source, library) = (
        folder.path().join("kernels.cpp"),
        folder.path().join("kernels.so"),
    );
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    // No contraction: the results are to be those of the processor's own code.
    let flags = [
        "-std=c++17",
        "-O2",
        "-ffp-contract=off",
        "-fPIC",
        "-shared",
        "-o",
    ];
    let output = Command::new(&compiler)
        .args(flags)
        .arg(&library)
        .arg(&source)
        .output();
    match output {
        Ok(output) => assert!(
            output.status.success(),
            "{compiler}: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{compiler}: {error}");
            println!(
                "skipped: no C++ compiler for the bodies of the CUDA kernels ({compiler}: {error})"
            );
            return None;
        }
    }
    Some(Compiled {
        names: names_of_all.into_iter().map(|(_, name)| name).collect(),
        library: load(&library),
    })
}

fn load(path: &Path) -> Library {
    // SAFETY: the library was compiled just now and has no constructors but those of empty containers.
    unsafe { Library::new(path) }.unwrap()
}

impl Launcher for Host {
    type Buffer = Words;

    fn alloc(&self, words: usize) -> Result<Words> {
        const ANYTHING: u32 = 0xFFC0_DEAD; // a NaN: what a kernel forgets to write is seen
        Ok(Words(UnsafeCell::new(vec![ANYTHING; words].into())))
    }

    fn upload(&self, words: &[u32]) -> Result<Words> {
        Ok(Words(UnsafeCell::new(words.into())))
    }

    fn download(&self, buffer: &Words, words: usize) -> Result<Vec<u32>> {
        match buffer.words().get(..words) {
            Some(words) => Ok(words.to_vec()),
            None => bail!("{words} words of a buffer that has fewer"),
        }
    }

    fn launch(&self, kernel: Kernel, size: Size, args: &[Arg<'_, Words>]) -> Result<()> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = self.0.names.iter().position(|name| name == kernel.name) else {
            bail!("no kernel {kernel:?}");
        };
        let mut kinds = Vec::new();
        let mut values: Vec<u64> = Vec::new(); // each in the first bytes of a word
        for arg in args {
            let (kind, value) = match arg {
                Arg::Buffer(words) => (b'p', words.pointer() as u64),
                Arg::Int(value) => (b'i', u64::from(value.cast_unsigned())),
                Arg::Float(value) => (b'f', u64::from(value.to_bits())),
            };
            kinds.push(kind);
            values.push(value);
        }
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| std::ptr::from_mut(value).cast())
            .collect();
        // SAFETY: the function has this signature; it checks number and kinds of the arguments before it calls the kernel,
        // and the kernels stay in their arrays by the sizes given to them, as on a device.
        let code = unsafe {
            let run = self.0.library.get::<Run>(b"run").unwrap();
            run(
                index as u32,
                size.grid.as_ptr(),
                size.threads,
                pointers.as_mut_ptr(),
                kinds.as_ptr(),
                kinds.len() as u32,
            )
        };
        match code {
            0 => Ok(()),
            code => bail!("{kernel:?} does not take these arguments: {code}"),
        }
    }
}
