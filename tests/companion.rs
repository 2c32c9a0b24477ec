//! Handing over to the build for CUDA, with a driver that is a few lines of C and a build that is a script.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As much of a driver as is asked for its devices.
const DRIVER: &str = r#"
#include <string.h>
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = DEVICES; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceTotalMem_v2(unsigned long *bytes, int device) { *bytes = 8ul << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = CAPABILITY; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Paper card", length); return 0; }
"#;

/// A folder with this program, and what a test puts beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let own = Path::new(env!("CARGO_BIN_EXE_maskscope"));
        let folder = tempfile::tempdir_in(own.parent().unwrap()).unwrap();
        std::fs::hard_link(own, folder.path().join("maskscope")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// None without a C compiler, which is an error in CI.
    fn with_driver(self, devices: u32) -> Option<Self> {
        self.with_cards(devices, 9)
    }

    /// Cards of compute capability `N.N`.
    fn with_cards(self, devices: u32, capability: u32) -> Option<Self> {
        let source = self.path("driver.c");
        std::fs::write(&source, DRIVER).unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(self.path("libcuda.so.1"))
            .arg(format!("-DDEVICES={devices}"))
            .arg(format!("-DCAPABILITY={capability}"))
            .arg(&source)
            .output();
        match compiled {
            Ok(output) => {
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                std::fs::copy(self.path("libcuda.so.1"), self.path("libcuda.so")).unwrap();
                Some(self)
            }
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "cc: {error}");
                println!("skipped: no C compiler for a driver of paper ({error})");
                None
            }
        }
    }

    /// The other build: it says its version, and otherwise what it was called with.
    fn with_companion(self, script: &str) -> Self {
        let place = self.path("maskscope-cuda");
        std::fs::write(&place, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Standard output, then standard error.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (String, String) {
        let output = Command::new(self.path("maskscope"))
            .args(arguments)
            .env("LD_LIBRARY_PATH", self.0.path())
            .env_remove("MASKSCOPE_CUDA")
            .env_remove("MASKSCOPE_HANDED_OVER")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    }

    fn cuda(&self) -> serde_json::Value {
        let (out, complaints) = self.run(&["doctor", "--json"], &[]);
        let report: serde_json::Value = serde_json::from_str(&out).expect(&complaints);
        let checks = report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["id"] == "cuda")
            .unwrap()
            .clone()
    }
}

fn speaks() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "[ \"$1\" = --version ] && echo 'maskscope {version}' || echo \"CUDA $MASKSCOPE_HANDED_OVER: $*\""
    )
}

#[test]
fn a_device_makes_the_other_build_take_over() {
    let Some(place) = Place::new().with_companion(&speaks()).with_driver(1) else {
        return;
    };
    let (out, complaints) = place.run(&["eval", "--checkpoint", "w", "a folder"], &[]);
    assert_eq!(
        (out.as_str(), complaints.as_str()),
        ("CUDA done: eval --checkpoint w a folder\n", "")
    );
    // What runs no network does not look for a device.
    let (out, _) = place.run(&["--version"], &[]);
    assert!(out.contains("not in this build; driver present"), "{out}");
    let (out, _) = place.run(&["completions", "bash"], &[]);
    assert!(out.contains("_maskscope()"), "{out}");
    // Those who want the processor get this program.
    let own = "this build has no CUDA support";
    let (out, _) = place.run(&["doctor", "--device", "cpu"], &[]);
    assert!(out.contains(own), "{out}");
    let (out, _) = place.run(&["doctor"], &[("MASKSCOPE_CUDA", "off")]);
    assert!(out.contains(own), "{out}");
    // One that was handed over to does not hand over again.
    let (out, _) = place.run(&["doctor"], &[("MASKSCOPE_HANDED_OVER", "done")]);
    assert!(out.contains(own), "{out}");
}

#[test]
fn a_card_that_the_kernels_do_not_run_on_is_told_and_left_alone() {
    let Some(place) = Place::new().with_companion(&speaks()).with_cards(1, 7) else {
        return;
    };
    let check = place.cuda();
    let found = check["found"].to_string();
    assert!(found.contains("compute capability 7.7"), "{found}");
    let used = check["used"].to_string();
    assert!(used.contains("that it runs on"), "{used}");
}

#[test]
fn without_a_device_this_program_goes_on() {
    let Some(place) = Place::new().with_companion(&speaks()).with_driver(0) else {
        return;
    };
    let (out, _) = place.run(&["doctor"], &[]);
    assert!(out.contains("this build has no CUDA support"), "{out}");
    let used = place.cuda()["used"].to_string();
    assert!(used.contains("no CUDA device answers"), "{used}");
    // Nor without a driver at all.
    let place = Place::new().with_companion(&speaks());
    let (out, complaints) = place.run(&["--version"], &[]);
    assert!(out.contains("no driver"), "{out}");
    assert_eq!(complaints, "");
}

#[test]
fn a_build_that_cannot_be_used_is_told_and_does_no_harm() {
    let missing = "error while loading shared libraries: libcublas.so.13";
    let cases = [
        (format!("echo '{missing}' >&2; exit 127"), missing),
        ("echo maskscope 0.0.1".to_owned(), "maskscope 0.0.1"),
    ];
    for (script, told) in cases {
        let Some(place) = Place::new().with_companion(&script).with_driver(1) else {
            return;
        };
        let (out, complaints) = place.run(&["doctor"], &[]);
        assert!(out.contains("this build has no CUDA support"), "{out}");
        assert!(
            complaints.contains(told) && complaints.contains("going on without CUDA"),
            "{complaints}"
        );
        let used = place.cuda()["used"].to_string();
        assert!(used.contains(told), "{used}");
    }
}

#[test]
fn without_the_other_build_doctor_says_where_it_would_be() {
    let Some(place) = Place::new().with_driver(1) else {
        return;
    };
    let check = place.cuda();
    assert!(check["found"].to_string().contains("Paper card"), "{check}");
    assert!(
        check["used"].to_string().contains("maskscope-cuda"),
        "{check}"
    );
}
