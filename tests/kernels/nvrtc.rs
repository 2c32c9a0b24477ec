//! Every file of kernels through NVIDIA's run-time compiler, which needs no card.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use maskscope::ops::kernels::SOURCES;

use super::host::names;

/// Where the compiler's two libraries are looked for, besides the system's places.
const VARIABLE: &str = "MASKSCOPE_NVRTC";
/// The oldest cards that are built for: those with TensorFloat-32.
const TARGET: &CStr = c"--gpu-architecture=compute_80";

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type SizeOf = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Read = unsafe extern "C" fn(Program, *mut c_char) -> c_int;

struct Nvrtc {
    library: Library,
    _builtins: Option<Library>,
}

impl Nvrtc {
    /// None where there is no such library, which is an error in CI.
    fn get() -> Option<Self> {
        let folder = std::env::var_os(VARIABLE).map(PathBuf::from);
        let place = |name: &str| {
            folder
                .as_ref()
                .map_or(PathBuf::from(name), |f| f.join(name))
        };
        // SAFETY: NVIDIA's libraries; their constructors set up their own state.
        let open = |name: &str| unsafe { Library::open(Some(place(name)), RTLD_NOW | RTLD_GLOBAL) };
        // The compiler asks for it by name, and finds one that is loaded.
        let builtins = open("libnvrtc-builtins.so.13.0").ok();
        match open("libnvrtc.so.13") {
            Ok(library) => Some(Self {
                library,
                _builtins: builtins,
            }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                println!(
                    "skipped: NVIDIA's run-time compiler is not there ({error}); `pip install 'nvidia-cuda-nvrtc==13.0.*'` \
                     has it, {VARIABLE} names its folder"
                );
                None
            }
        }
    }

    /// The PTX of a source, or what the compiler says.
    fn compile(&self, file: &str, source: &str) -> Result<String, String> {
        let (source, file) = (CString::new(source).unwrap(), CString::new(file).unwrap());
        let options = [
            TARGET.as_ptr(),
            c"-fmad=false".as_ptr(),
            c"--std=c++17".as_ptr(),
        ];
        let mut program = std::ptr::null_mut();
        // SAFETY: the functions have these signatures (nvrtc.h); strings and arrays live until the calls are over, and
        // texts are read into memory of the size that the library told.
        unsafe {
            let create = self.library.get::<Create>(b"nvrtcCreateProgram").unwrap();
            let compile = self.library.get::<Compile>(b"nvrtcCompileProgram").unwrap();
            let none = std::ptr::null();
            let code = create(&mut program, source.as_ptr(), file.as_ptr(), 0, none, none);
            assert_eq!(code, 0, "nvrtcCreateProgram");
            match compile(program, options.len() as c_int, options.as_ptr()) {
                0 => Ok(self.text(program, b"nvrtcGetPTXSize", b"nvrtcGetPTX")),
                _ => Err(self.text(program, b"nvrtcGetProgramLogSize", b"nvrtcGetProgramLog")),
            }
        }
    }

    unsafe fn text(&self, program: Program, size_name: &[u8], text_name: &[u8]) -> String {
        let mut size = 0;
        // SAFETY: as in `compile`.
        unsafe {
            self.library.get::<SizeOf>(size_name).unwrap()(program, &mut size);
            let mut text = vec![0u8; size.max(1)];
            self.library.get::<Read>(text_name).unwrap()(program, text.as_mut_ptr().cast());
            let text = CStr::from_bytes_until_nul(&text).unwrap();
            text.to_string_lossy().into_owned()
        }
    }
}

#[test]
fn every_kernel_compiles_for_a_card() {
    let Some(nvrtc) = Nvrtc::get() else { return };
    for (file, source) in SOURCES {
        let ptx = nvrtc
            .compile(file, source)
            .unwrap_or_else(|log| panic!("{file}.cu:\n{log}"));
        let names = names(source);
        assert!(!names.is_empty(), "{file}");
        for name in names {
            assert!(ptx.contains(&format!(".entry {name}(")), "{file}: {name}");
        }
    }
}

#[test]
fn what_is_no_kernel_does_not_compile() {
    let Some(nvrtc) = Nvrtc::get() else { return };
    let log = nvrtc
        .compile("broken", "__global__ void broken() { nothing(); }")
        .unwrap_err();
    assert!(log.contains("nothing"), "{log}");
}

/// A file that is not embedded would be tested by nothing.
#[test]
fn every_file_of_kernels_is_embedded() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, SOURCES.map(|(file, _)| file.to_owned()));
}
