//! The layer for tracing's subscribers.

use crate::ears::{Keeper, heard, kept};
use offspring::observe::ProcessLayer;
use offspring::{LogRecord, Queue, log_through, log_to, spawn};
use tracing_subscriber::layer::SubscriberExt;

pub(crate) fn events_have_their_spans() {
    let text = heard(|| {
        let child = spawn(|| {
            let layer = ProcessLayer::new().unwrap();
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
                .unwrap();
            let order = tracing::info_span!("order", id = 7, by = tracing::field::Empty);
            order.record("by", "Ada");
            let _order = order.enter();
            tracing::info!("begun");
            let inner = spawn(|| {
                let _packing = tracing::debug_span!("packing").entered();
                tracing::warn!(items = 3, name = "box", "slow {}", 1);
                tracing::debug!(left = true);
            });
            inner.unwrap().join().unwrap();
        });
        child.unwrap().join().unwrap();
    });
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "[INFO/child-1] order{id=7 by=\"Ada\"}: begun",
        "[WARN/child-1:1] order{id=7 by=\"Ada\"}:packing: slow 1 items=3 name=\"box\"",
        "[DEBUG/child-1:1] order{id=7 by=\"Ada\"}:packing: left=true",
    ];
    assert_eq!(lines, expected);

    // The same way as log's records.
    log_to(Keeper, log::LevelFilter::Info).unwrap();
    let relay = log_through(&Queue::<LogRecord>::new().unwrap()).unwrap();
    let layer = ProcessLayer::new().unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    spawn(|| tracing::info!("hello")).unwrap().join().unwrap();
    assert_eq!(relay.forward(), 1);
    assert!(kept()[0].ends_with("Z: hello"));
}
