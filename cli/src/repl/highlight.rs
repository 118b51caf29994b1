//! Colours of a line while it is typed.

use kalam_link::core::statements::{Open, Piece, pieces};
use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use crate::repl::words::is_keyword;

pub struct SqlHighlighter;

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let command = line.trim_start().starts_with('\\');
        for (index, (piece, text)) in pieces(line).enumerate() {
            let style = if command && index < 2 {
                Style::new().fg(Color::Purple).bold()
            } else {
                style(piece, text)
            };
            styled.push((style, text.to_owned()));
        }
        styled
    }
}

fn style(piece: Piece, text: &str) -> Style {
    match piece {
        Piece::Word if is_keyword(text) => Style::new().fg(Color::Blue).bold(),
        Piece::String | Piece::Unclosed(Open::String | Open::DollarString) => {
            Style::new().fg(Color::Green)
        }
        Piece::QuotedName | Piece::Unclosed(Open::QuotedName) => Style::new().fg(Color::Cyan),
        Piece::Comment | Piece::Unclosed(Open::Comment) => Style::new().fg(Color::DarkGray),
        Piece::Symbol if text.starts_with('$') => Style::new().fg(Color::Yellow),
        Piece::Symbol if text.starts_with(|c: char| c.is_ascii_digit()) => {
            Style::new().fg(Color::Yellow)
        }
        Piece::Word | Piece::Symbol | Piece::Semicolon | Piece::Space => Style::new(),
    }
}
