//! One HTTP answer as a whole.

use reqwest::header::HeaderMap;
use serde_json::Value;

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads the answer to its end.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}: no JSON: {}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code in the envelope.
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Status and code of a refused request.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The text without the time that the request took, which differs each time.
    pub fn text_without_took(&self) -> String {
        let (before, rest) = self
            .text()
            .split_once("\"took\":")
            .unwrap_or_else(|| panic!("no took: {}", self.text()));
        let end = rest.find([',', '}']).unwrap();
        format!("{before}{}", &rest[end..])
    }
}
