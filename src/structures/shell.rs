//! Command lines to copy: words as a POSIX shell reads them back.

/// A word, quoted where it has to be.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A command line of these words.
pub fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_back() {
        let words = [
            "train", "a b", "", "it's", "$HOME", "lr=0.02", "[8, 11]", "ü/ß", "a\"b", "--x=*", "~",
        ];
        assert_eq!(word("lr=0.02"), "lr=0.02");
        assert_eq!(word("it's"), r"'it'\''s'");
        #[cfg(unix)]
        {
            let script = format!("printf '%s|' {}", line(words));
            let told = std::process::Command::new("/bin/sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            let expected: String = words.iter().map(|word| format!("{word}|")).collect();
            assert_eq!(String::from_utf8(told.stdout).unwrap(), expected);
        }
    }
}
