//! Manual pages in the layout of man-pages(7), generated from the options.

use std::io;

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// Writes the manual page of a tool.
///
/// The parts of the long help that follow the options become sections. A part is a title with a
/// colon, and rows of a term, two spaces and its explanation.
pub(crate) fn write(command: &Command, out: &mut impl io::Write) -> io::Result<()> {
    let mut page = Roff::new();
    let name = command.get_name();
    let version = command.get_version().unwrap_or_default();
    let source = format!("{name} {version}");
    // The quotes are an empty date: the version tells how old a page is.
    page.control("TH", [&*name.to_uppercase(), "1", "\"\"", &*source, "User Commands"]);
    page.control("SH", ["NAME"]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.text([roman(format!("{name} - {}", lower_first(&about)))]);
    synopsis(&mut page, command);
    page.control("SH", ["DESCRIPTION"]);
    let description = command.get_long_about().or_else(|| command.get_about());
    let description = description.map(ToString::to_string).unwrap_or_default();
    paragraphs(&mut page, "PP", &description);
    if command.get_positionals().next().is_some() {
        page.control("SH", ["ARGUMENTS"]);
    }
    command.get_positionals().for_each(|argument| entry(&mut page, argument));
    options(&mut page, command);
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut sections = Vec::from_iter(
        [ENVIRONMENT, files(name), &help].join("\n\n").split("\n\n").map(|section| {
            let (title, rows) = section.split_once(":\n").unwrap_or(("Notes", section));
            let place = ORDER.iter().position(|known| *known == title);
            (place.unwrap_or(ORDER.len()), title.to_uppercase(), rows.to_owned())
        }),
    );
    sections.sort_by_key(|(place, ..)| *place);
    for (_, title, rows) in &sections {
        page.control("SH", [if title == "UNITS" { "NOTES" } else { title }]);
        if title == "UNITS" {
            page.control("SS", ["Units"]);
        }
        terms(&mut page, rows);
    }
    see_also(&mut page, name);
    page.to_writer(out)
}

/// The parts that follow the options, in the order of man-pages(7); the units are notes there.
const ORDER: [&str; 6] = ["Exit status", "Signals", "Environment", "Files", "Units", "Examples"];

const ENVIRONMENT: &str = "\
Environment:
  NO_COLOR                 If set, print no colours unless --color is always
  CLICOLOR_FORCE           If set, print colours in files and pipes, too
  COLUMNS                  The width of tables and lines on a terminal
  LC_ALL, LC_CTYPE, LANG   Draw characters beyond ASCII if the first one that is set names UTF-8";

const HOSTS: &str = "\
Files:
  /etc/hosts  Addresses of host names, in the order in which they are tried";

const KERNEL: &str = "\
Files:
  /proc/sys/net/core/rmem_max  The largest receive buffer without CAP_NET_ADMIN
  /proc/sys/net/core/wmem_max  The largest send buffer without CAP_NET_ADMIN";

fn files(tool: &str) -> &'static str {
    if tool == "hello-server" { KERNEL } else { HOSTS }
}

const TOOLS: [&str; 4] = ["hello-client", "hello-load", "hello-ping", "hello-server"];

/// Lists the options as ping(8) does: flags in one group, then each option with its value.
fn synopsis(page: &mut Roff, command: &Command) {
    page.control("SH", ["SYNOPSIS"]);
    page.control("SY", [&*escaped(command.get_name())]);
    let options = command.get_arguments().filter(|option| !option.is_positional());
    let (valued, flags): (Vec<&Arg>, Vec<&Arg>) = options.partition(|option| takes_value(option));
    let short = flags.iter().filter_map(|flag| flag.get_short());
    let mut short = Vec::from_iter(short);
    short.sort_by_key(char::to_ascii_lowercase);
    page.control("OP", [&*format!("\\-{}", String::from_iter(short))]);
    let long = flags.iter().filter(|flag| flag.get_short().is_none());
    for flag in long.filter_map(|flag| flag.get_long()) {
        page.control("OP", [&*format!("\\-\\-{}", escaped(flag))]);
    }
    for option in valued {
        let name = match (option.get_short(), option.get_long()) {
            (Some(short), _) => format!("\\-{short}"),
            (None, long) => format!("\\-\\-{}", escaped(long.unwrap_or_default())),
        };
        match has_optional_value(option) {
            true => page.control("OP", [&*format!("{name}[={}]", escaped(&value(option)))]),
            false => page.control("OP", [&*name, &*escaped(&value(option))]),
        };
    }
    for argument in command.get_positionals() {
        let more = if argument.get_num_args().is_some_and(|range| range.max_values() > 1) {
            "...]"
        } else {
            "]"
        };
        page.control("RI", ["[", &*value(argument), more]);
    }
    page.control("YS", []);
}

fn options(page: &mut Roff, command: &Command) {
    page.control("SH", ["OPTIONS"]);
    let all = Vec::from_iter(command.get_arguments().filter(|option| !option.is_positional()));
    let mut headings = Vec::new();
    for heading in all.iter().filter_map(|option| option.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings.iter().copied().map(Some).chain([None]) {
        if !headings.is_empty() {
            page.control("SS", [heading.unwrap_or("Other")]);
        }
        let of_heading = all.iter().filter(|option| option.get_help_heading() == heading);
        of_heading.for_each(|option| entry(page, option));
    }
}

/// Describes an option or an argument.
fn entry(page: &mut Roff, option: &Arg) {
    let mut head = Vec::new();
    head.extend(option.get_short().map(|short| bold(format!("-{short}"))));
    if let Some(long) = option.get_long() {
        head.extend((!head.is_empty()).then(|| roman(", ")));
        head.push(bold(format!("--{long}")));
    }
    if has_optional_value(option) {
        head.extend([roman("[="), italic(value(option)), roman("]")]);
    } else if takes_value(option) {
        head.extend((!head.is_empty()).then(|| roman(" ")));
        head.push(italic(value(option)));
    }
    page.control("TP", []);
    page.text(head);
    let help = option.get_long_help().or_else(|| option.get_help());
    let mut help = help.map(ToString::to_string).unwrap_or_default();
    let defaults = option.get_default_values().iter().map(|value| value.to_string_lossy());
    let defaults = Vec::from_iter(defaults).join(" ");
    if takes_value(option) && !defaults.is_empty() {
        help += &format!("\n\nThe default is {defaults}.");
    }
    paragraphs(page, "IP", &help);
    let values = option.get_possible_values();
    if takes_value(option) && !values.is_empty() {
        page.control("RS", []);
        for value in values {
            page.control("TP", []);
            page.text([bold(value.get_name())]);
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            page.text([roman(sentence(&help))]);
        }
        page.control("RE", []);
    }
}

/// Writes paragraphs, of which each but the first begins with a macro.
fn paragraphs(page: &mut Roff, separator: &str, text: &str) {
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            page.control(separator, []);
        }
        page.text([roman(sentence(paragraph))]);
    }
}

/// Writes rows of a term, two spaces and its explanation, which may continue on further lines.
fn terms(page: &mut Roff, rows: &str) {
    let mut list: Vec<(&str, String)> = Vec::new();
    for row in rows.lines() {
        match (row.strip_prefix("  ").filter(|row| !row.starts_with(' ')), list.last_mut()) {
            (None, Some((_, text))) => *text = format!("{text} {}", row.trim()),
            (row, _) => {
                let row = row.unwrap_or_default();
                let (term, text) = row.split_once("  ").unwrap_or((row, ""));
                list.push((term, text.trim().to_owned()));
            }
        }
    }
    for (term, text) in list {
        page.control("TP", []);
        page.text([bold(term)]);
        page.text([roman(sentence(text.trim()))]);
    }
}

fn see_also(page: &mut Roff, name: &str) {
    page.control("SH", ["SEE ALSO"]);
    let others = TOOLS.into_iter().filter(|tool| *tool != name).map(|tool| (tool, 1));
    let pages = Vec::from_iter(others.chain([("ping", 8), ("udp", 7)]));
    let mut line: Vec<Inline> = Vec::new();
    for (index, (page, section)) in pages.iter().enumerate() {
        let comma = if index + 1 < pages.len() { ", " } else { "" };
        line.extend([bold(*page), roman(format!("({section}){comma}"))]);
    }
    page.text(line);
}

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// Returns whether an option has a value only behind an equals sign, or none.
fn has_optional_value(option: &Arg) -> bool {
    takes_value(option) && option.get_num_args().is_some_and(|range| range.min_values() == 0)
}

fn value(option: &Arg) -> String {
    let names = option.get_value_names().unwrap_or_default();
    Vec::from_iter(names.iter().map(ToString::to_string)).join(" ")
}

/// Ends a text with a full stop.
fn sentence(text: &str) -> String {
    let ends = text.is_empty() || text.ends_with(['.', ']', ':']);
    if ends { text.to_owned() } else { format!("{text}.") }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

/// Escapes the argument of a macro.
fn escaped(text: &str) -> String {
    text.replace('-', "\\-")
}
