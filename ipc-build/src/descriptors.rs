//! The schema as data, for programs that learn it from the server: load generators, debuggers.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, ReflectMessage};
use prost_types::FileDescriptorProto;

/// Appends the constant by which a program has the descriptors of `package`.
pub(crate) fn constant(package: &str, buf: &mut String) {
    let (name, file) = (display_name(package), file_name(package));
    buf.push_str(&format!(
        "/// The schema of {name} and of all it imports: an encoded `google.protobuf.FileDescriptorSet`, without comments.\n\
         pub const FILE_DESCRIPTOR_SET: &[::core::primitive::u8] = ::core::include_bytes!(\"{file}\");\n"
    ));
}

/// Writes, for each package that has a service, the file that the constant includes.
pub(crate) fn write(pool: &DescriptorPool, folder: &Path) -> io::Result<()> {
    let services = pool.services();
    let packages = services.map(|service| service.package_name().to_owned());
    for package in packages.collect::<BTreeSet<_>>() {
        let mut reached = BTreeSet::new();
        pool.files()
            .filter(|file| file.package_name() == package)
            .for_each(|file| reach(&file, &mut reached));
        let set = FileDescriptorSet {
            // In the order of the pool, which has a file after those that it imports.
            file: pool
                .files()
                .filter(|file| reached.contains(file.name()))
                .map(|file| encode(&file))
                .collect(),
        };
        write_if_changed(&folder.join(file_name(&package)), &set.encode_to_vec())?;
    }
    Ok(())
}

/// `google.protobuf.FileDescriptorSet` with its files as they are encoded: prost-types would drop
/// the options of this crate.
#[derive(Clone, PartialEq, prost::Message)]
struct FileDescriptorSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// Adds the names of a file and of all that it imports, near and far.
fn reach(file: &FileDescriptor, reached: &mut BTreeSet<String>) {
    if reached.insert(file.name().to_owned()) {
        let imports = file.dependencies();
        imports.for_each(|import| reach(&import, reached));
    }
}

fn encode(file: &FileDescriptor) -> Vec<u8> {
    let kind = FileDescriptorProto::default().descriptor();
    let mut message = DynamicMessage::decode(kind, file.encode_to_vec().as_slice())
        .expect("a descriptor that was just encoded");
    message.clear_field_by_name("source_code_info");
    message.encode_to_vec()
}

/// Cargo compiles anew what includes a file that was written.
fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes)
}

fn file_name(package: &str) -> String {
    let stem = if package.is_empty() { "_" } else { package };
    format!("{stem}.binpb")
}

fn display_name(package: &str) -> String {
    if package.is_empty() {
        "what has no package".to_owned()
    } else {
        format!("package `{package}`")
    }
}
