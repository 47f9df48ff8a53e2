//! The committed code of the gRPC messages is what the `.proto` files say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use std::path::Path;

/// The two files, and what is made of each.
const FILES: [(&str, &str, &str); 2] = [
    ("interaction.proto", "interaction.rs", "interaction.code"),
    (
        "environment.proto",
        "foresail.firm.v1.rs",
        "environment.code",
    ),
];

#[test]
fn generated_code_is_what_the_proto_files_say() {
    let rpc = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rpc");
    let made = tempfile::tempdir().unwrap();
    for (proto, out, committed) in FILES {
        // No `protoc` is needed: the compiler is a library.
        let described = protox::compile([rpc.join(proto)], [&rpc]).unwrap();
        tonic_prost_build::configure()
            .out_dir(made.path())
            .compile_fds(described)
            .unwrap();
        let new = std::fs::read_to_string(made.path().join(out)).unwrap();
        let place = rpc.join("generated").join(committed);
        let old = std::fs::read_to_string(&place).unwrap_or_default();
        if old == new {
            continue;
        }
        if std::env::var_os("FORESAIL_BLESS").is_some() {
            std::fs::write(&place, new).unwrap();
        } else {
            panic!(
                "{committed} is not what {proto} makes; FORESAIL_BLESS=1 cargo test -p foresail-adapters --test rpc_code_is_current"
            );
        }
    }
}
