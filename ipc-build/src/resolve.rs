//! Finds and compiles proto files: the user's, then the one carried here, then Google's.

use std::path::Path;

use protox::Compiler;
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

use crate::Error;

/// The name under which users import the options.
pub(crate) const OPTIONS_FILE: &str = "ipc/options.proto";

const OPTIONS_SOURCE: &str = include_str!("../proto/ipc/options.proto");

/// Parses and links `protos` and everything they import.
pub(crate) fn compile(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<Compiler, Error> {
    let mut chain = ChainFileResolver::new();
    for include in includes {
        chain.add(IncludeFileResolver::new(include.as_ref().to_owned()));
    }
    chain.add(Embedded);
    chain.add(GoogleFileResolver::new());

    let mut compiler = Compiler::with_file_resolver(chain);
    compiler.include_source_info(true).include_imports(true);
    for proto in protos {
        let proto = proto.as_ref();
        compiler.open_file(proto).map_err(|error| {
            // protox says that a file which is not there is "not in any include path".
            let is_missing = error.is_file_not_found() && error.file().is_none();
            if is_missing && !proto.exists() {
                Error::Proto {
                    diagnostic: format!("{}: no such file", proto.display()),
                }
            } else {
                error.into()
            }
        })?;
    }
    Ok(compiler)
}

struct Embedded;

impl FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == OPTIONS_FILE {
            File::from_source(name, OPTIONS_SOURCE)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}
