//! Circular imports between the files of one crate.
//!
//! A file depends on the file that *defines* what it names, whatever re-exports stand in between. So
//! `pub use child::Name;` makes no parent depend on its child, and a child that imports a name which its
//! parent only passes on does not depend on the parent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, UseTree, Visibility};

/// The names of a module, from the crate's root.
type ModulePath = Vec<String>;

#[derive(Default)]
struct Module {
    file: PathBuf,
    defines: BTreeSet<String>,
    /// Names that a `use` brings in, and the paths behind them.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Paths that its code names, apart from re-exports.
    names: BTreeSet<Vec<String>>,
}

type Modules = BTreeMap<ModulePath, Module>;

/// The circles of the crate whose sources these are: which file needs what of which other one.
pub fn circles(source: &Path) -> Vec<Vec<String>> {
    let needs = dependencies(source);
    let reach: BTreeMap<_, _> = needs.keys().map(|file| (file, reachable(file, &needs))).collect();
    let mut circles = BTreeMap::new();
    for (file, reached) in reach.iter().filter(|(file, reached)| reached.contains(**file)) {
        let back = |other: &&PathBuf| reach.get(*other).is_some_and(|it| it.contains(*file));
        let circle: BTreeSet<_> = reached.iter().filter(back).collect();
        let inside = needs[*file].iter().filter(|(other, _)| circle.contains(other));
        let lines = inside.map(|(other, names)| {
            let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
            format!("{} -> {}: {names}", file.display(), other.display())
        });
        let lines: Vec<_> = lines.collect();
        circles.entry(circle).or_insert_with(Vec::new).extend(lines);
    }
    circles.into_values().collect()
}

type Needs = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

fn reachable(from: &Path, needs: &Needs) -> BTreeSet<PathBuf> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = ahead.pop() {
        for next in needs.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.clone()) {
                ahead.push(next.clone());
            }
        }
    }
    reached
}

fn dependencies(source: &Path) -> Needs {
    let mut modules = Modules::new();
    let root = ["lib.rs", "main.rs"].map(|name| source.join(name));
    let root = root.into_iter().find(|path| path.exists()).unwrap();
    read(&root, source, Vec::new(), &mut modules);
    let mut needs = Needs::new();
    for (path, module) in &modules {
        let of_file = needs.entry(module.file.clone()).or_default();
        for name in &module.names {
            if let Some(Found::Item(file)) = resolve(&modules, path, name, 0)
                && file != module.file
            {
                of_file.entry(file).or_default().insert(name.join("::"));
            }
        }
    }
    needs
}

/// Reads a file and the files of its modules; `folder` is where those lie.
fn read(file: &Path, folder: &Path, path: ModulePath, modules: &mut Modules) {
    let text = fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    take(parsed.items, file, folder, path, modules);
}

fn take(items: Vec<Item>, file: &Path, folder: &Path, path: ModulePath, modules: &mut Modules) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items {
        let tokens = item.to_token_stream();
        match item {
            Item::Use(item) => {
                let mut paths = Vec::new();
                flatten(&item.tree, &mut Vec::new(), &mut paths);
                for (name, path) in paths {
                    if matches!(item.vis, Visibility::Inherited) {
                        module.names.insert(path.clone());
                    }
                    match name {
                        Some(name) => drop(module.imports.insert(name, path)),
                        None => module.globs.push(path),
                    }
                }
            }
            Item::Mod(item) => {
                let name = item.ident.to_string();
                if name == "tests" || is_for_tests(&item.attrs) {
                    continue;
                }
                let inner = [path.clone(), vec![name.clone()]].concat();
                let below = folder.join(&name);
                match item.content {
                    Some((_, items)) => take(items, file, &below, inner, modules),
                    None => {
                        let files = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                        let file = files.into_iter().find(|path| path.exists()).unwrap();
                        read(&file, &below, inner, modules);
                    }
                }
            }
            _ => {
                module.defines.extend(defined(&item));
                paths_in(tokens, &mut module.names);
            }
        }
    }
    modules.insert(path, module);
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |it: &syn::Attribute| it.to_token_stream().to_string() == "# [cfg (test)]";
    attributes.iter().any(is_test)
}

fn defined(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// The name and the path of each import of a `use`; without a name, all of the path.
fn flatten(tree: &UseTree, at: &mut Vec<String>, out: &mut Vec<(Option<String>, Vec<String>)>) {
    let mut leaf = |name: String, known_as: String| {
        let rest = (name != "self").then_some(name);
        let path = at.iter().cloned().chain(rest).collect::<Vec<_>>();
        let known_as = if known_as == "self" { path.last().cloned() } else { Some(known_as) };
        out.push((known_as, path));
    };
    match tree {
        UseTree::Name(name) => leaf(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => leaf(name.ident.to_string(), name.rename.to_string()),
        UseTree::Glob(_) => out.push((None, at.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, at, out)),
        UseTree::Path(path) => {
            at.push(path.ident.to_string());
            flatten(&path.tree, at, out);
            at.pop();
        }
    }
}

/// Everything in these tokens that can be a path, also in the arguments of macros. A single word in
/// lower case is one only where it is called.
fn paths_in(tokens: TokenStream, out: &mut BTreeSet<Vec<String>>) {
    let (mut path, mut colons, mut is_member) = (Vec::<String>::new(), 0, false);
    let mut end = |path: &mut Vec<String>, called: bool| {
        let named = path.len() > 1 || path.iter().any(|word| word.starts_with(char::is_uppercase));
        if named || (called && !path.is_empty()) {
            out.insert(path.clone());
        }
        path.clear();
    };
    let mut groups = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path, false);
                }
                if !(is_member && path.is_empty()) {
                    path.push(ident.to_string());
                }
                (colons, is_member) = (0, false);
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            other => {
                let called = matches!(other, TokenTree::Group(it) if it.delimiter() == Delimiter::Parenthesis);
                end(&mut path, called);
                colons = 0;
                is_member = matches!(other, TokenTree::Punct(it) if it.as_char() == '.');
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
            }
        }
    }
    end(&mut path, false);
    groups.into_iter().for_each(|group| paths_in(group, out));
}

enum Found {
    Module(ModulePath),
    /// The file that defines it.
    Item(PathBuf),
}

/// What a path names, seen from a module; None if it is of another crate.
fn resolve(modules: &Modules, from: &ModulePath, path: &[String], depth: u8) -> Option<Found> {
    if depth > 10 {
        return None;
    }
    let mut at = from.clone();
    for (n, word) in path.iter().enumerate() {
        match word.as_str() {
            "self" => continue,
            "crate" if n == 0 => at.clear(),
            "super" => drop(at.pop()?),
            word => {
                let inner = [at.clone(), vec![word.to_owned()]].concat();
                if modules.contains_key(&inner) {
                    at = inner;
                    continue;
                }
                let module = &modules[&at];
                if module.defines.contains(word) {
                    return Some(Found::Item(module.file.clone()));
                }
                let import = module.imports.get(word);
                // `use child::child;` names itself no more than once.
                let found = match import.filter(|import| import.as_slice() != [word]) {
                    Some(import) => resolve(modules, &at, import, depth + 1),
                    None => module.globs.iter().find_map(|glob| {
                        let whole = [glob.as_slice(), &[word.to_owned()]].concat();
                        resolve(modules, &at, &whole, depth + 1)
                    }),
                };
                match found? {
                    Found::Module(module) => at = module,
                    item => return Some(item),
                }
            }
        }
    }
    Some(Found::Module(at))
}
