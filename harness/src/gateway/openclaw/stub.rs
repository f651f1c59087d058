//! A stand-in for `libsignal`.
//!
//! Releases up to 2026.3 depend on it through their WhatsApp client, and it lies on GitHub, not on npm. No gateway of ours has
//! channels, so nothing of it is ever called; but modules that import it are loaded with every plugin, device pairing
//! among them, and each name and file that they ask for must be there.

use std::io;
use std::path::Path;

/// Folder of the stand-in, beside `package.json`.
const FOLDER: &str = "libsignal-stub";
/// Any name that is asked of it is a class.
const INDEX: &str = "class Nothing {}\n\
    module.exports = new Proxy({}, { get: (known, name) => (name in known ? known[name] : Nothing) });\n";
/// Files that are imported by their path.
const FILES: [&str; 6] =
    ["curve", "crypto", "numeric_fingerprint", "session_record", "session_builder", "session_cipher"];

/// Writes the stand-in below `folder`.
///
/// # Errors
/// What the system says.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    let stub = folder.join(FOLDER);
    std::fs::create_dir_all(stub.join("src"))?;
    std::fs::write(stub.join("package.json"), r#"{"name":"libsignal","version":"2.0.1","main":"index.js"}"#)?;
    std::fs::write(stub.join("index.js"), INDEX)?;
    for file in FILES {
        std::fs::write(
            stub.join("src").join(format!("{file}.js")),
            "module.exports = require(\"../index.js\");\n",
        )?;
    }
    Ok(())
}

/// `overrides` of the `package.json`: whoever asks for `libsignal`, by whatever name, gets the stand-in. A release that does
/// not ask is not touched.
pub(super) fn overrides() -> serde_json::Value {
    let stub = format!("file:./{FOLDER}");
    serde_json::json!({
        "libsignal": stub,
        "@whiskeysockets/libsignal-node": stub,
        "@whiskeysockets/baileys": { "libsignal": stub },
    })
}
