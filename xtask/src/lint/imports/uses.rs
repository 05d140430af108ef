//! The paths that a file uses outside its tests: in `use` items, types, expressions, patterns and macros.

use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, Macro, Meta, UseTree, Visibility};

/// What one file uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Each path, with the modules inside the file in which it stands.
    pub(super) paths: BTreeSet<(Vec<String>, Vec<String>)>,
    /// The files that it declares as modules for tests alone: by name, or by their `#[path]`.
    pub(super) test_modules: Vec<String>,
    inside: Vec<String>,
}

impl Uses {
    /// Parses a file.
    pub(super) fn of(text: &str) -> syn::Result<Self> {
        let mut uses = Self::default();
        uses.visit_file(&syn::parse_file(text)?);
        Ok(uses)
    }

    fn add(&mut self, path: Vec<String>) {
        self.paths.insert((self.inside.clone(), path));
    }

    fn add_tree(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_tree(&part.tree, path);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, path.clone())),
            UseTree::Glob(_) => self.add(path),
            UseTree::Name(name) => self.add([path, vec![name.ident.to_string()]].concat()),
            UseTree::Rename(rename) => self.add([path, vec![rename.ident.to_string()]].concat()),
        }
    }
}

impl Visit<'_> for Uses {
    fn visit_item(&mut self, item: &Item) {
        match item {
            Item::Mod(module) if is_for_tests(&module.attrs) => {
                let path = module.attrs.iter().find_map(path_attribute);
                self.test_modules.push(path.unwrap_or_else(|| module.ident.to_string()));
            }
            Item::Use(ItemUse { attrs, .. }) if is_for_tests(attrs) => {}
            Item::Fn(function) if is_for_tests(&function.attrs) => {}
            Item::Impl(block) if is_for_tests(&block.attrs) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_item_mod(&mut self, module: &ItemMod) {
        self.inside.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        self.add_tree(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// Its tokens follow no grammar: everything in them that looks like a path counts.
    fn visit_macro(&mut self, call: &Macro) {
        visit::visit_path(self, &call.path);
        let tokens = call.tokens.to_string().replace(" :: ", "::");
        let words = tokens.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        for path in words.filter(|word| word.contains("::")) {
            self.add(path.split("::").map(str::to_owned).collect());
        }
    }

    /// `pub(in crate::plan)` uses nothing.
    fn visit_visibility(&mut self, _: &Visibility) {}
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}
