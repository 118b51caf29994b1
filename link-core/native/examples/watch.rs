//! Prints the rows of a query each time they change:
//!
//! `cargo run --example watch -- http://127.0.0.1:8080 root PASSWORD 'SELECT * FROM chat.messages'`
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;

use futures::StreamExt as _;
use kalam_link::{Auth, Client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, user, password, sql] = arguments.as_slice() else {
        return Err("URL, user, password and a SELECT are wanted".into());
    };
    let client = Client::connect(url, Auth::basic(user, password)).await?;
    let mut live = client.live(sql, &[]).await?;
    while let Some(snapshot) = live.next().await {
        let snapshot = snapshot?;
        println!("{:?}: {} rows", snapshot.status, snapshot.rows.len());
        for row in &snapshot.rows {
            println!("  {}", serde_json::to_string(&**row)?);
        }
    }
    Ok(())
}
