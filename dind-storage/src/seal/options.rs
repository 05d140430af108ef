//! What to make a seed of, parsed.

use crate::cli::SealTexts;
use crate::options::{data_root, path};
use crate::{fault, safe_path};
use dind_contract::Fault;
use dind_contract::cli::given;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a seed is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A directory.
    #[default]
    Dir,
    /// An erofs in a file.
    Erofs,
    /// A squashfs in a file.
    Squashfs,
}

impl Form {
    const ALL: [(&'static str, Self); 3] =
        [("dir", Self::Dir), ("erofs", Self::Erofs), ("squashfs", Self::Squashfs)];
}

/// What to make a seed of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// The data root: absolute, without `..`.
    pub data_root: PathBuf,
    /// The seed: absolute, without `..`.
    pub to: PathBuf,
    /// Names and ids of images; all images, where there are none.
    pub images: Vec<String>,
    /// What the seed is to be.
    pub form: Form,
}

impl SealOptions {
    /// Parses flags and variables.
    ///
    /// # Errors
    /// Names the first that is invalid.
    pub fn parse(texts: &SealTexts) -> Result<Self, Fault> {
        let images = texts.images.iter().map(|name| name.trim().to_owned());
        let images: Vec<_> = images.filter(|name| !name.is_empty()).collect();
        if images.is_empty() && !texts.images.is_empty() {
            // A variable of a script that is empty does not mean all images.
            let fault = fault::IMAGE_UNKNOWN.invalid("--images", "", "it has no name");
            return Err(fault.hint("give names or ids of images, or leave --images out for all"));
        }
        Ok(Self {
            data_root: data_root(given(texts.data_root.as_ref()).unwrap_or("/var/lib/docker"))?,
            to: to(&texts.to)?,
            images,
            form: form(given(texts.format.as_ref()))?,
        })
    }
}

fn to(text: &str) -> Result<PathBuf, Fault> {
    let path = path("--to", text.trim())?;
    if safe_path::is_system_directory(&path) && path.parent().is_none() {
        let fault = fault::PATH_INVALID.invalid("--to", path.display(), "it is a system directory");
        return Err(fault.hint("name what is not there yet, such as /srv/seeds/base"));
    }
    Ok(path)
}

fn form(text: Option<&str>) -> Result<Form, Fault> {
    let Some(text) = text else { return Ok(Form::default()) };
    let found = Form::ALL.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, form)| form).ok_or_else(|| {
        let names = Form::ALL.map(|(name, _)| name).join(", ");
        let fault = fault::FORMAT_UNKNOWN.invalid("--format", text, format_args!("expected one of {names}"));
        fault.hint("give one of them, or leave it out for a directory")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        data_root: Option<&str>,
        to: &str,
        images: &[&str],
        format: Option<&str>,
    ) -> Result<SealOptions, Fault> {
        SealOptions::parse(&SealTexts {
            data_root: data_root.map(str::to_owned),
            to: to.to_owned(),
            images: images.iter().map(|&image| image.to_owned()).collect(),
            format: format.map(str::to_owned),
        })
    }

    #[test]
    fn defaults_and_what_is_given() {
        let options = parse(None, "/srv/seed/", &["debian:12", " ", " alpine "], None).unwrap();
        assert_eq!((options.data_root, options.form), (PathBuf::from("/var/lib/docker"), Form::Dir));
        assert_eq!(
            (options.to, options.images),
            (PathBuf::from("/srv/seed"), vec!["debian:12".into(), "alpine".into()])
        );
        assert_eq!(parse(None, "/srv/seed", &[], Some("erofs")).unwrap().form, Form::Erofs);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let code = |options: Result<SealOptions, Fault>| options.unwrap_err().code.name;
        assert_eq!(code(parse(None, "seed", &[], None)), "path-invalid");
        assert_eq!(code(parse(None, "", &[], None)), "path-invalid");
        assert_eq!(code(parse(None, "/", &[], None)), "path-invalid");
        assert_eq!(code(parse(None, "/srv/a/../b", &[], None)), "path-invalid");
        assert_eq!(code(parse(None, "/srv/seed", &["", " "], None)), "image-unknown");
        assert_eq!(code(parse(None, "/srv/seed", &[], Some("tar"))), "format-unknown");
        assert_eq!(code(parse(Some("/etc"), "/srv/seed", &[], None)), "data-root-unsafe");
    }
}
