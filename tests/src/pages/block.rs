//! Fenced blocks of Markdown, each with what surrounds it.

use super::PAGES;

/// A page and its blocks, in their order.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path in the checkout.
    pub path: String,
    /// All of it.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in its page.
    pub line: usize,
    /// The first word behind the fence: `sh`, `json`.
    pub language: String,
    /// The words behind it: `in:node` has a value, `xtask` an empty one.
    pub marks: Vec<(String, String)>,
    /// What is in it, without the indentation of the fence.
    pub text: String,
    /// What the page shows as its output: a `json` or `text` block right below a block of commands, with nothing between them.
    pub output: Option<Box<Block>>,
    /// Whether the page says below that this output is `(shortened`.
    pub shortened: bool,
}

/// Languages whose blocks a reader runs, or puts into a file.
const COMMANDS: [&str; 5] = ["sh", "console", "Dockerfile", "yaml", "toml"];

impl Page {
    /// One of [`PAGES`].
    ///
    /// # Panics
    /// There is none of this path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let found = PAGES.iter().find(|(name, _)| *name == path);
        let (_, text) = found.unwrap_or_else(|| panic!("{path} is not among the pages"));
        Self::new(path, text)
    }

    /// A page by its text.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), blocks: parse(text) }
    }

    /// The commands that begin so, word for word.
    ///
    /// # Panics
    /// The page shows none, or several.
    #[must_use]
    pub fn block(&self, first: &str) -> &Block {
        let found: Vec<_> = self.blocks.iter().filter(|block| block.text.starts_with(first)).collect();
        assert_eq!(found.len(), 1, "{}: blocks that begin with `{first}`: {found:?}", self.path);
        found[0]
    }
}

impl Block {
    /// The value of a mark.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<&str> {
        self.marks.iter().find(|(mark, _)| mark == name).map(|(_, value)| value.as_str())
    }

    /// Whether somebody has to run it, or use it as a file.
    #[must_use]
    pub fn is_command(&self) -> bool {
        COMMANDS.contains(&self.language.as_str())
    }
}

fn parse(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    // Whether nothing but empty lines came since the last block of commands; and since its output.
    let (mut below_commands, mut below_output) = (false, false);
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some((mut block, indent)) = open.take() {
            if trimmed.starts_with("```") {
                if !block.is_command() && below_commands {
                    if let Some(commands) = blocks.last_mut() {
                        commands.output = Some(Box::new(block));
                    }
                    (below_commands, below_output) = (false, true);
                } else {
                    (below_commands, below_output) = (block.is_command(), false);
                    blocks.push(block);
                }
            } else {
                block.text += line.get(indent..).unwrap_or(trimmed);
                block.text.push('\n');
                open = Some((block, indent));
            }
        } else if let Some(info) = trimmed.strip_prefix("```") {
            let mut words = info.split_whitespace();
            let language = words.next().unwrap_or_default().to_owned();
            let marks = words.map(|word| {
                let (name, value) = word.split_once(':').unwrap_or((word, ""));
                (name.to_owned(), value.to_owned())
            });
            let block = Block { line: number + 1, language, marks: marks.collect(), ..Block::default() };
            open = Some((block, line.len() - trimmed.len()));
        } else if !trimmed.is_empty() {
            if let (true, Some(commands)) = (below_output, blocks.last_mut()) {
                commands.shortened = trimmed.starts_with("(shortened");
            }
            (below_commands, below_output) = (false, false);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A page

```sh in:node
echo {} # indented below
```

```json
{}
```

(shortened: there is more)

* In a list:

  ```sh xtask
  cargo xtask
    help
  ```

```text
a figure
```

words

```json
{\"a\":1}
```
";

    #[test]
    fn a_block_has_its_marks_and_what_is_shown_right_below_it() {
        let blocks = parse(TEXT);
        let texts: Vec<_> = blocks.iter().map(|block| (block.line, block.text.as_str())).collect();
        assert_eq!(
            texts,
            [(3, "echo {} # indented below\n"), (15, "cargo xtask\n  help\n"), (26, "{\"a\":1}\n")]
        );
        assert_eq!(blocks[0].mark("in"), Some("node"));
        assert!(blocks[0].shortened && !blocks[1].shortened);
        let outputs: Vec<_> =
            blocks.iter().map(|block| block.output.as_ref().map(|shown| shown.line)).collect();
        assert_eq!(outputs, [Some(7), Some(20), None], "words come between the last one and its commands");
        assert!(blocks[1].mark("xtask") == Some("") && !blocks[2].is_command());
    }
}
