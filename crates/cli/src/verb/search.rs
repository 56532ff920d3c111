//! `aumbry search`: finds secrets by name, labels, owner and expiry.

use api::Timestamp;
use api::secret::{Search as Message, SecretList};
use clap::Args;

use crate::connect::Global;
use crate::verb::list::shown;
use crate::verb::put::labels;
use crate::{exit, fault, pages};

/// Find secrets by name, labels, owner and expiry
#[derive(Debug, Args)]
#[command(
    after_help = "NAME is a part of the path, or a pattern of the whole: `*` within a segment, `**` across segments, \
                        `?` for one character. Everything named must apply."
)]
pub(crate) struct Search {
    /// A part of the path, or a pattern
    name: Option<String>,
    /// Folder to look below [default: the tenant's top]
    #[arg(long)]
    prefix: Option<String>,
    /// Label it has; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Principal that made it
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Whose values stop being readable before this time, RFC 3339 or a span from now such as 30d
    #[arg(long, value_name = "TIME")]
    expires_before: Option<String>,
}

impl Search {
    /// Fetches all pages and prints them sorted; into a pipe only the paths.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.client()?;
        let mut message = Message {
            prefix: self.prefix,
            name: self.name,
            labels: labels(&self.labels)?,
            owner: self.owner,
            expires_before: self.expires_before.as_deref().map(time).transpose()?,
            ..Message::default()
        };
        let mut items = pages::all(async |cursor| {
            message.cursor = cursor;
            let page = client.secrets().search(&message).await?;
            Ok((page.items, page.next_cursor))
        })
        .await?;
        items.sort_by(|a, b| a.path.cmp(&b.path));
        shown(global, &SecretList { items, next_cursor: None })?;
        Ok(exit::OK)
    }
}

/// A time as it is, or the one a span from now ends at.
fn time(text: &str) -> Result<Timestamp, client::Error> {
    let span = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let hours: i64 = match unit {
            "h" => 1,
            "d" => 24,
            _ => return None,
        };
        let span = jiff::Span::new().try_hours(number.parse::<i64>().ok()?.checked_mul(hours)?).ok()?;
        jiff::Timestamp::now().checked_add(span).ok()
    };
    if text.contains('-') {
        return Ok(Timestamp(text.to_owned()));
    }
    let hint = "write 2027-01-31T00:00:00Z, 30d or 12h";
    let end = span().ok_or_else(|| fault::invalid(format!("`{text}` is no time"), hint))?;
    Ok(Timestamp(end.to_string()))
}
