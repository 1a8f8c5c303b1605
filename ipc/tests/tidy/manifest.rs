//! The root manifest lists what the members use, and nothing else.

/// Names in `[workspace.dependencies]` that no member asks for.
pub(crate) fn unused_dependencies(root: &str, members: &[String]) -> Vec<String> {
    let names: Vec<&str> = root
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" =").map(|(name, _)| name))
        .collect();
    if names.is_empty() {
        return vec!["Cargo.toml: no [workspace.dependencies]".into()];
    }
    let used = |name: &str| {
        let (dotted, table) = (format!("{name}.workspace"), format!("{name} ="));
        members.iter().flat_map(|m| m.lines()).any(|line| {
            line.starts_with(&dotted)
                || line.starts_with(&table) && line.contains("workspace = true")
        })
    };
    let unused = names.into_iter().filter(|name| !used(name));
    unused
        .map(|name| format!("Cargo.toml: no member uses `{name}`"))
        .collect()
}

#[test]
fn an_unused_dependency_is_caught() {
    let root =
        "[workspace.dependencies]\na = \"1\"\nab = { version = \"1\" }\n\n[profile.dev]\nc = 1\n";
    let members = |text: &str| vec![text.to_owned()];
    assert!(
        unused_dependencies(
            root,
            &members("a.workspace = true\nab = { workspace = true }")
        )
        .is_empty()
    );
    assert_eq!(
        unused_dependencies(root, &members("ab.workspace = true")),
        ["Cargo.toml: no member uses `a`"]
    );
    assert_eq!(unused_dependencies("", &members("")).len(), 1);
}
