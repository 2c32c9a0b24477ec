//! Names that a pickle may mention. None is ever called: a mention becomes an inert value.

/// Whole packages whose objects stay opaque unless their shape is known.
const ROOTS: [&str; 12] = [
    "torch",
    "numpy",
    "collections",
    "datetime",
    "pathlib",
    "mmcv",
    "mmengine",
    "mmdet",
    "detectron2",
    "fvcore",
    "omegaconf",
    "torchvision",
];

/// Plain types of `builtins`, under Python 2's name of the module too.
const BUILTINS: [&str; 6] = ["set", "slice", "complex", "bytearray", "range", "frozenset"];

/// Whether semantics.md 5.3 allows a global to be mentioned.
pub(super) fn is_allowed(module: &str, name: &str) -> bool {
    match module {
        "builtins" | "__builtin__" => BUILTINS.contains(&name),
        "_codecs" => name == "encode",
        "argparse" => name == "Namespace",
        _ => module
            .split('.')
            .next()
            .is_some_and(|root| ROOTS.contains(&root)),
    }
}
