//! Text of the shapes that people really send: short and long, emoji, right-to-left, JSON, code.

/// Deterministic numbers: the same seed gives the same text everywhere (xorshift64*, Vigna 2014).
pub struct Numbers(u64);

impl Numbers {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const WORDS: &[&str] = &[
    "ok",
    "thanks",
    "see",
    "you",
    "tomorrow",
    "the",
    "meeting",
    "moved",
    "to",
    "noon",
    "naïve",
    "Straße",
    "it's",
    "don't",
    "\"quoted\"",
    "100%",
    "_under_",
    "C:\\path",
    "https://example.com/?q=a&b=c#d",
    "привет",
    "你好",
    "世界",
];
const EMOJI: &[&str] = &["👍", "😂", "❤️", "👩‍👩‍👧‍👦", "🇪🇺", "🏳️‍🌈", "🤷🏽‍♀️", "🎉"];
const RIGHT_TO_LEFT: &[&str] = &[
    "שלום",
    "مرحبا",
    "كيف",
    "الحال",
    "תודה",
    "\u{202b}mixed\u{202c}",
    "٤٢",
];
const CODE: &[&str] = &[
    "fn main() {\n\tprintln!(\"{}\", 1 << 3);\n}\n",
    "SELECT * FROM t WHERE a = 'it''s'; -- $1\n",
    "```js\nconst x = `${y}`;\n```\n",
    "if (a && b || !c) { return \"\\u0000\"; }\n",
];

/// A message of 1 to 4,000 characters; most are short, as in a real chat.
pub fn message(numbers: &mut Numbers) -> String {
    let limit = match numbers.below(100) {
        0 => 4_000,
        1..=9 => 600,
        _ => 80,
    };
    let wanted = usize::try_from(1 + numbers.below(limit)).unwrap();
    let style = numbers.below(10);
    if style == 0 {
        return json(numbers, wanted);
    }
    let mut text = String::new();
    while text.chars().count() < wanted {
        text.push_str(match style {
            1 | 2 => numbers.pick(EMOJI),
            3 | 4 => numbers.pick(RIGHT_TO_LEFT),
            5 => numbers.pick(CODE),
            _ => numbers.pick(WORDS),
        });
        text.push(' ');
    }
    text.chars().take(wanted).collect()
}

fn json(numbers: &mut Numbers, wanted: usize) -> String {
    let mut items = Vec::new();
    let mut length = 0;
    while length < wanted {
        let item = serde_json::json!({
            "id": numbers.next(), "text": numbers.pick(WORDS), "nested": {"emoji": numbers.pick(EMOJI), "n": null}
        })
        .to_string();
        length += item.chars().count();
        items.push(item);
    }
    format!("[{}]", items.join(","))
        .chars()
        .take(4_000)
        .collect()
}
