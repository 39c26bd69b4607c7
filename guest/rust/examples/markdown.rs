//! Markdown in, HTML out: headings, paragraphs, lists, quotes, code, emphasis, links.
//!
//!     curl --data-binary @README.md -H 'Content-Type: text/markdown' .../markdown

use skerry::{Request, Response};

/// `text` with what HTML takes for markup escaped.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
    html
}

/// What is between `mark` at the beginning of `text` and the next one, and the rest.
fn between<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (inner, rest) = text.strip_prefix(mark)?.split_once(mark)?;
    (!inner.is_empty()).then_some((inner, rest))
}

/// The parts of a link "[text](target)" at the beginning of `text`, and the rest.
/// Targets that could run a script are none.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (label, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    let scheme = target.split(['/', '?', '#']).next().unwrap_or("");
    let harmless = !scheme.contains(':')
        || ["http:", "https:", "mailto:"]
            .iter()
            .any(|each| scheme.starts_with(each));
    (harmless && !label.contains(['[', ']'])).then_some((label, target, rest))
}

/// One run of text: code, strong, emphasis and links become elements.
fn inline(mut text: &str) -> String {
    let mut html = String::new();
    while let Some(first) = text.chars().next() {
        if let Some((code, rest)) = between(text, "`") {
            html += &format!("<code>{}</code>", escape(code));
            text = rest;
        } else if let Some((strong, rest)) = between(text, "**") {
            html += &format!("<strong>{}</strong>", inline(strong));
            text = rest;
        } else if let Some((emphasis, rest)) = between(text, "*") {
            html += &format!("<em>{}</em>", inline(emphasis));
            text = rest;
        } else if let Some((label, target, rest)) = link(text) {
            html += &format!("<a href=\"{}\">{}</a>", escape(target), inline(label));
            text = rest;
        } else {
            let (plain, rest) = text.split_at(first.len_utf8());
            html += &escape(plain);
            text = rest;
        }
    }
    html
}

/// The kind of block that a line belongs to, as its element, and the line's own text.
fn classify(line: &str) -> (&'static str, &str) {
    const HEADINGS: [&str; 7] = ["", "h1", "h2", "h3", "h4", "h5", "h6"];
    let level = line.bytes().take_while(|&byte| byte == b'#').count();
    let unnumbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
    if line.is_empty() {
        ("", "")
    } else if (1..=6).contains(&level) && line[level..].starts_with(' ') {
        (HEADINGS[level], line[level..].trim())
    } else if let Some(item) = line.strip_prefix("- ").or(line.strip_prefix("* ")) {
        ("ul", item)
    } else if unnumbered.len() < line.len() && unnumbered.starts_with(". ") {
        ("ol", &unnumbered[2..])
    } else if let Some(quoted) = line.strip_prefix('>') {
        ("blockquote", quoted.trim_start())
    } else {
        ("p", line)
    }
}

/// A block of `lines` that belong to one element.
fn block(element: &str, lines: &[&str]) -> String {
    match element {
        "" => String::new(),
        "ul" | "ol" => {
            let items = lines
                .iter()
                .map(|line| format!("<li>{}</li>\n", inline(line)));
            format!("<{element}>\n{}</{element}>\n", items.collect::<String>())
        }
        _ => format!("<{element}>{}</{element}>\n", inline(&lines.join("\n"))),
    }
}

/// A document.
fn html(markdown: &str) -> String {
    let mut html = String::new();
    let (mut element, mut gathered) = ("", Vec::new());
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let fence = line.starts_with("```");
        let (kind, text) = if fence {
            ("", "")
        } else {
            classify(line.trim_end())
        };
        if kind != element || kind.starts_with('h') {
            html += &block(element, &gathered);
            gathered.clear();
        }
        (element, _) = (kind, gathered.push(text));
        if fence {
            let code: Vec<_> = lines.by_ref().take_while(|each| *each != "```").collect();
            html += &format!("<pre><code>{}\n</code></pre>\n", escape(&code.join("\n")));
        }
    }
    html + &block(element, &gathered)
}

fn on_post(request: &Request) -> Result<Response, (u16, &'static str)> {
    let markdown = request.text().ok_or((400, "expected UTF-8\n"))?;
    Ok(Response::new(200).html(html(markdown)))
}

fn main() {
    skerry::on_get(|_| (405, "POST a text in Markdown\n"));
    skerry::on_post(on_post);
    skerry::wait()
}
