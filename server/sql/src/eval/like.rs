//! LIKE without a regular expression: one pass, going back only to the last `%`.

use crate::expr::Letters;

enum Token {
    /// `%`
    Any,
    /// `_`
    One,
    Literal(char),
}

/// Whether `text` matches `pattern`. An escape character at the end of the pattern stands for itself.
pub(crate) fn matches(text: &str, pattern: &str, escape: char, letters: Letters) -> bool {
    let (mut rest, mut wanted) = (text, pattern);
    // Where to go on when what follows the last `%` does not match here: the pattern after it and the text it left.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let matched = match next_token(wanted, escape) {
            None if rest.is_empty() => return true,
            None => false,
            Some((Token::Any, after)) => {
                retry = Some((after, rest));
                wanted = after;
                continue;
            }
            Some((token, after)) => {
                let mut characters = rest.chars();
                let Some(character) = characters.next() else {
                    return false;
                };
                let matched = match token {
                    Token::Literal(literal) => same(character, literal, letters),
                    Token::Any | Token::One => true,
                };
                if matched {
                    (rest, wanted) = (characters.as_str(), after);
                }
                matched
            }
        };
        if !matched {
            let Some((after, from)) = retry else {
                return false;
            };
            let mut characters = from.chars();
            if characters.next().is_none() {
                return false;
            }
            retry = Some((after, characters.as_str()));
            (rest, wanted) = (characters.as_str(), after);
        }
    }
}

fn next_token(pattern: &str, escape: char) -> Option<(Token, &str)> {
    let mut characters = pattern.chars();
    let token = match characters.next()? {
        character if character == escape => Token::Literal(characters.next().unwrap_or(escape)),
        '%' => Token::Any,
        '_' => Token::One,
        character => Token::Literal(character),
    };
    Some((token, characters.as_str()))
}

fn same(a: char, b: char, letters: Letters) -> bool {
    a == b || (letters == Letters::Folded && fold(a) == fold(b))
}

/// Unicode's simple case folding, as regular expressions use it.
fn fold(character: char) -> char {
    // Upper-cases to `I`, but folds to itself.
    const DOTLESS_I: char = 'ı';
    if character == DOTLESS_I {
        return character;
    }
    let upper = single(character.to_uppercase()).unwrap_or(character);
    single(upper.to_lowercase()).unwrap_or(character)
}

fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}
