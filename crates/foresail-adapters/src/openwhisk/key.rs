//! The key of a namespace: from a file or the environment, never shown.
//!
//! Names and form are those of OpenWhisk's own tools: a properties file with `APIHOST`, `AUTH` and
//! `NAMESPACE` (`~/.wskprops`, or what `WSK_CONFIG_FILE` names), and within an action
//! `__OW_API_HOST`, `__OW_API_KEY` and `__OW_NAMESPACE`.

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::access::AccessError;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A key, `user:password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    user: String,
    password: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

/// What a properties file or the environment tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Address of the API.
    pub host: Option<String>,
    /// Key.
    pub key: Option<Key>,
    /// Namespace; `_` is the key's own.
    pub namespace: Option<String>,
}

impl Key {
    /// A key as it is written.
    ///
    /// # Errors
    /// [`AccessError`] where it is none; the text is not told.
    pub fn parse(text: &str, from: &str) -> Result<Self, AccessError> {
        let text = text.trim();
        let parts = text.split_once(':');
        let fits = |part: &str| !part.is_empty() && !part.chars().any(char::is_whitespace);
        match parts.filter(|(user, password)| fits(user) && fits(password)) {
            Some((user, password)) => Ok(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            }),
            None => Err(AccessError(format!(
                "the key from {from} is none: write user:password, as `wsk property get --auth` prints it"
            ))),
        }
    }

    pub(super) fn parts(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }
}

impl Properties {
    /// Reads a file: properties, or a key and nothing else.
    ///
    /// # Errors
    /// [`AccessError`] where it cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let name = path.display().to_string();
        let refused = |why: &dyn fmt::Display| AccessError(format!("cannot read {name}: {why}"));
        let file = std::fs::File::open(path).map_err(|e| refused(&e))?;
        let mut text = String::new();
        let mut limited = file.take(FILE_BYTES_MAX + 1);
        limited.read_to_string(&mut text).map_err(|e| refused(&e))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(&format!(
                "it is larger than {FILE_BYTES_MAX} bytes"
            )));
        }
        Self::parse(&text, &name)
    }

    /// What such a file says.
    ///
    /// # Errors
    /// [`AccessError`] where its key is none.
    pub fn parse(text: &str, name: &str) -> Result<Self, AccessError> {
        let lines = text.lines().map(str::trim);
        let lines: Vec<&str> = lines
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .collect();
        if let [line] = lines.as_slice()
            && !line.contains('=')
        {
            let key = Some(Key::parse(line, name)?);
            return Ok(Self {
                key,
                ..Self::default()
            });
        }
        let mut all = Self::default();
        for line in lines {
            let Some((property, value)) = line.split_once('=') else {
                return Err(AccessError(format!(
                    "{name}: a line is no property: write NAME=VALUE, or the key alone"
                )));
            };
            let value = value.trim();
            match property.trim() {
                "APIHOST" => all.host = Some(value.to_owned()),
                "AUTH" => all.key = Some(Key::parse(value, name)?),
                "NAMESPACE" => all.namespace = Some(value.to_owned()),
                // Others are of other tools.
                _ => {}
            }
        }
        Ok(all)
    }

    /// What an action's environment tells; `of` gives a variable's value.
    ///
    /// # Errors
    /// [`AccessError`] where its key is none.
    pub fn of_environment(of: impl Fn(&str) -> Option<String>) -> Result<Self, AccessError> {
        let key = of("__OW_API_KEY").map(|text| Key::parse(&text, "__OW_API_KEY"));
        Ok(Self {
            host: of("__OW_API_HOST"),
            key: key.transpose()?,
            namespace: of("__OW_NAMESPACE"),
        })
    }

    /// The same, with what another one has where it has nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            key: self.key.or(other.key),
            namespace: self.namespace.or(other.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_properties_or_a_key_alone() {
        let alone = Properties::parse("me:s3cret\n", "f").unwrap();
        assert_eq!(alone.key, Some(Key::parse("me:s3cret", "f").unwrap()));
        let text = "# of wsk\nAPIHOST=https://ow.example\nAUTH=me:s3cret\nAPIGW_ACCESS_TOKEN=x\nNAMESPACE=_\n";
        let all = Properties::parse(text, "f").unwrap();
        assert_eq!(all.host.as_deref(), Some("https://ow.example"));
        assert_eq!((all.key, all.namespace.as_deref()), (alone.key, Some("_")));
        assert!(Properties::parse("AUTH=me\n", "f").is_err());
        assert!(Properties::parse("a b\nc\n", "f").is_err());
    }

    #[test]
    fn no_key_is_ever_shown() {
        let key = Key::parse("me:s3cret", "f").unwrap();
        assert_eq!(format!("{key:?}"), "Key(redacted)");
        let refused = Key::parse("s3cret without a colon", "the file").unwrap_err();
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
        let of = |name: &str| (name == "__OW_API_KEY").then(|| "s3cret".to_owned());
        let refused = Properties::of_environment(of).unwrap_err().to_string();
        assert!(!refused.contains("s3cret") && refused.contains("__OW_API_KEY"));
    }
}
