//! Pickles that would run code, misuse the stack, claim or nest without measure.

use super::super::build::*;
use super::refused;

/// In all three containers that hold pickles.
fn pickle_refused(what: &str, pickle: &[u8], part: &str) {
    // Long enough to be anything.
    refused(what, &[pickle, &[0; 16]].concat(), part);
    refused(what, &torch_zip(pickle, &[0; 4]), part);
    refused(what, &torch_legacy(pickle, &[]), part);
}

#[test]
fn pickles_that_would_run_code() {
    let call = |module: &str, name: &str| {
        Pickle::protocol(2)
            .global(module, name)
            .raw(b"(")
            .text("touch /hostile")
            .raw(b"tR")
            .stop()
    };
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "eval"),
        ("builtins", "__import__"),
        ("importlib", "import_module"),
        ("runpy", "_run_code"),
        ("codecs", "encode"),
        ("_codecs", "decode"),
        ("copyreg", "_reconstructor"),
        ("argparse", "ArgumentParser"),
        ("torch_evil", "run"),
        ("", "torch"),
    ] {
        pickle_refused(
            name,
            &call(module, name),
            &format!("refused, it mentions {module}.{name}"),
        );
    }
    // The other instructions that name a callable.
    let stack_global = Pickle::protocol(4)
        .text("os")
        .text("system")
        .raw(b"\x93(")
        .text("true")
        .raw(b"tR")
        .stop();
    pickle_refused(
        "STACK_GLOBAL",
        &stack_global,
        "refused, it mentions os.system",
    );
    let inst = Pickle::protocol(2)
        .raw(b"(")
        .text("true")
        .raw(b"ios\nsystem\n");
    pickle_refused("INST", &inst.stop(), "refused, it mentions os.system");
    let obj = Pickle::protocol(2)
        .raw(b"(")
        .global("os", "system")
        .text("true")
        .raw(b"o");
    pickle_refused("OBJ", &obj.stop(), "refused, it mentions os.system");
    let newobj = Pickle::protocol(2)
        .global("subprocess", "Popen")
        .raw(b")\x81");
    pickle_refused(
        "NEWOBJ",
        &newobj.stop(),
        "refused, it mentions subprocess.Popen",
    );
    // A text in place of a global.
    let text = Pickle::protocol(2).text("os.system").raw(b")R");
    pickle_refused("REDUCE on a text", &text.stop(), "a call on a str");
}

/// torch is an allowed package, so its functions may be mentioned; none is called, and none is a tensor.
#[test]
fn functions_of_allowed_packages_are_inert() {
    for (module, name) in [
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch._utils", "_rebuild_meta_tensor_no_storage"),
        ("numpy.lib.npyio", "load"),
    ] {
        let pickle = Pickle::protocol(2)
            .raw(b"}(")
            .text("state_dict")
            .raw(b"}(")
            .text("conv1.weight")
            .global(module, name)
            .raw(b"(")
            .text("x")
            .raw(b"tRuu")
            .stop();
        pickle_refused(name, &pickle, &format!("{module}.{name}"));
    }
}

#[test]
fn pickles_that_misuse_the_stack() {
    let check = |what: &str, body: &[u8], part: &str| {
        pickle_refused(what, &Pickle::protocol(2).raw(body).stop(), part);
    };
    check("SETITEM on a list", b"]K\x01K\x02s", "SETITEM on a list");
    check("SETITEMS on a list", b"](K\x01K\x02u", "SETITEM on a list");
    check("SETITEM on a tuple", b")K\x01K\x02s", "SETITEM on a tuple");
    check("SETITEMS, odd", b"}(K\x01u", "too few values");
    check("APPEND on a dict", b"}K\x01a", "APPEND on a dict");
    check("APPENDS on an int", b"K\x01(K\x02e", "APPEND on an int");
    check("ADDITEMS on a list", b"](K\x02\x90", "ADDITEMS on a list");
    check("BUILD on a str", b"X\x01\0\0\0a}b", "BUILD on a str");
    check(
        "REDUCE with a list",
        b"ctorch\nx\n]R",
        "arguments on a list",
    );
    check("below the stack", b"0", "too few values");
    check("below a mark", b"K\x01(\x85", "too few values");
    check("no mark", b"t", "too few values");
    check("never stored", b"h\x07", "reference to 7");
    check("unknown instruction", b"\xff", "0xff");
    check("extension registry", b"\x82\x01", "0x82");
    check("persistent id as text", b"Pabc\n", "0x50");
    check("protocol 0 text", b"S'abc'\n", "0x53");
    check("next buffer", b"\x97", "0x97");
    check("not UTF-8", b"X\x02\0\0\0\xff\xfe", "UTF-8");
    check("a second protocol", b"\x80\x09", "protocol 9");
    let tensor = View::new(&[1])
        .push(Pickle::protocol(2))
        .raw(b"K\x01K\x02s");
    let part = "SETITEM on an object";
    refused(
        "SETITEM on a tensor",
        &torch_zip(&tensor.stop(), &[0; 4]),
        part,
    );
}

#[test]
fn pickles_that_claim_or_nest_without_measure() {
    let check = |what: &str, body: &[u8], part: &str| {
        pickle_refused(what, &Pickle::protocol(2).raw(body).stop(), part);
    };
    let n = 100_000;
    let repeat = |bytes: &[u8]| bytes.repeat(n);
    let lists = [repeat(b"]"), repeat(b"a")].concat();
    check("nested lists", &lists, "levels of nesting");
    let tuples = [b"N".to_vec(), repeat(b"\x85")].concat();
    check("nested tuples", &tuples, "levels of nesting");
    let dicts = [repeat(b"}K\x01"), b"N".to_vec(), repeat(b"s")].concat();
    check("nested dicts", &dicts, "levels of nesting");
    let objects = [repeat(b"ctorch\nx\n"), b"N".to_vec(), repeat(b"\x85R")].concat();
    check("nested objects", &objects, "levels of nesting");
    check("nested marks", &repeat(b"("), "levels of nesting");
    check("BINUNICODE", b"X\xff\xff\xff\xffab", "4294967295");
    check(
        "BINUNICODE8",
        &[0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80],
        "922337203685477",
    );
    check(
        "BINBYTES8",
        &[&[0x8e][..], &[0xff; 8]].concat(),
        "1844674407370955",
    );
    check(
        "BYTEARRAY8",
        &[&[0x96][..], &[0xff; 8]].concat(),
        "1844674407370955",
    );
    check("LONG4", b"\x8b\xff\xff\xff\x7f", "2147483647");
    check("LONG4 below zero", b"\x8b\xff\xff\xff\xff", "valid length");
    check(
        "FRAME",
        &[&[0x95][..], &[0xff; 8]].concat(),
        "1844674407370955",
    );
    check(
        "a name without end",
        &[&b"c"[..], &repeat(b"a")].concat(),
        "valid line",
    );
    // No end at all.
    let endless = Pickle::protocol(2).raw(b"NNNNNNNNNNNNNNNN").stop();
    let cut = &endless[..endless.len() - 1];
    refused("no STOP", cut, "truncated");
    // A hundred doublings: 2^100 leaves, were they ever walked.
    let doublings = Pickle::protocol(2)
        .raw(b"]q\0")
        .raw(&b"(h\0h\0lq\0".repeat(100));
    pickle_refused("references", &doublings.stop(), "no state_dict");
    // A list that contains itself.
    let cycle = Pickle::protocol(2).raw(b"]q\0h\0a");
    pickle_refused("cycle", &cycle.stop(), "no state_dict");
    // LONG1 of 255 bytes as a size.
    let mut view = View::new(&[1]).push(Pickle::protocol(2).raw(b"}").text("x"));
    view = view.raw(b"s");
    let long = [&[0x8a, 255][..], &[0x7f; 255]].concat();
    let bytes = view.stop();
    let number = [&[0x8a, 8][..], &1_i64.to_le_bytes()].concat();
    let at = bytes.windows(10).position(|w| w == number).unwrap();
    let bomb = [&bytes[..at], &long, &bytes[at + 10..]].concat();
    refused(
        "LONG1 bomb",
        &torch_zip(&bomb, &[0; 4]),
        "not as it should be",
    );
}
