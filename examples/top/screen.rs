//! The terminal: the last look, once a second, until `q`.

use crate::text::{self, Order};
use offspring::observe::{Observer, Snapshot};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use std::time::{Duration, Instant};

const REFRESH: Duration = Duration::from_secs(1);

/// Draws until the user quits or the process ends.
pub(crate) fn run(pid: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut observer = Observer::new(pid)?;
    let mut snapshot = observer.look()?;
    let mut terminal = ratatui::try_init()?;
    let (mut order, mut scroll) = (Order::Tree, 0_u16);
    let mut next = Instant::now() + REFRESH;
    let done = loop {
        let drawn = terminal.draw(|frame| {
            let areas = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]);
            let [body, foot] = areas.areas(frame.area());
            let lines = lines(&snapshot, order);
            scroll = scroll.min(u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(1));
            frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), body);
            let keys = format!(" q quit   s sorted by {}   ↑↓ scroll", order.name());
            let style = Style::new().add_modifier(Modifier::REVERSED);
            frame.render_widget(Paragraph::new(keys).style(style), foot);
        });
        if let Err(error) = drawn {
            break Err(error.into());
        }
        match key(next.saturating_duration_since(Instant::now())) {
            Ok(Some(KeyCode::Char('q') | KeyCode::Esc)) => break Ok(()),
            Ok(Some(KeyCode::Char('s'))) => order = order.next(),
            Ok(Some(KeyCode::Up)) => scroll = scroll.saturating_sub(1),
            Ok(Some(KeyCode::Down)) => scroll = scroll.saturating_add(1),
            Ok(_) => {}
            Err(error) => break Err(error.into()),
        }
        if Instant::now() >= next {
            next = Instant::now() + REFRESH;
            match observer.look() {
                Ok(seen) => snapshot = seen,
                Err(error) => break Err(error.into()),
            }
        }
    };
    ratatui::restore();
    done
}

/// A key that is pressed within this time; Ctrl-C is `q`.
fn key(within: Duration) -> std::io::Result<Option<KeyCode>> {
    if !event::poll(within)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let is_ctrl_c =
                key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
            Some(if is_ctrl_c { KeyCode::Char('q') } else { key.code })
        }
        _ => None,
    })
}

fn lines(snapshot: &Snapshot, order: Order) -> Vec<Line<'static>> {
    let styled = |(kind, line): (text::Kind, String)| {
        let style = match kind {
            text::Kind::Title => Style::new().add_modifier(Modifier::BOLD),
            text::Kind::Alarm => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            text::Kind::Plain => Style::new(),
        };
        Line::styled(line, style)
    };
    text::lines(snapshot, order).into_iter().map(styled).collect()
}
