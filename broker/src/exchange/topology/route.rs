//! Routing through exchanges: from one to the next by bindings, to the alternate where one leads nowhere, each
//! exchange asked once.
//!
//! ```text
//!  pending ─▶ exchange ─▶ held? ─▶ delays; had it before? ─▶ repeated
//!     ▲           │
//!     │           ├─▶ queues
//!     └───────────┴─▶ exchanges, or the alternate if there was neither
//! ```

use super::{DEFAULT, Topology};
use crate::exchange::{
    ExchangeId, delayed,
    kind::Kind,
    message::{Delay, Message, RouteResult},
};

impl Topology {
    /// Where a message goes that was published to that exchange. A delayed exchange on its way holds it if it asks
    /// for it.
    pub fn route(&self, start: ExchangeId, message: &Message<'_>, out: &mut RouteResult) {
        self.route_from(start, message, true, out);
    }

    /// Where a message goes that an exchange held and that is due: no exchange holds it again.
    pub fn route_due(&self, start: ExchangeId, message: &Message<'_>, out: &mut RouteResult) {
        self.route_from(start, message, false, out);
    }

    fn route_from(&self, start: ExchangeId, message: &Message<'_>, may_hold: bool, out: &mut RouteResult) {
        out.begin();
        if start == DEFAULT {
            self.queues.route(message, &mut out.sink);
            return;
        }
        out.sink.add_exchange(start);
        while let Some(id) = out.sink.next_exchange() {
            self.ask(id, message, may_hold, out);
        }
    }

    fn ask(&self, id: ExchangeId, message: &Message<'_>, may_hold: bool, out: &mut RouteResult) {
        if id == DEFAULT {
            return self.queues.route(message, &mut out.sink);
        }
        let Some(exchange) = self.exchange(id) else { return };
        if may_hold
            && let Kind::Delayed(_) = exchange.attributes.kind
            && let Some(delay_ms) = delayed::delay_ms(message.headers)
        {
            return out.delays.push(Delay { exchange: id, delay_ms });
        }
        if exchange.attributes.kind == Kind::Deduplicating {
            if message.seen.has_passed(id) {
                return out.repeated.push(id);
            }
            out.passed.push(id);
        }
        exchange.routes.route(message, &mut out.sink);
        if !out.sink.has_found()
            && let Some(alternate) = exchange.alternate().and_then(|name| self.find(name))
        {
            out.sink.add_exchange(alternate);
        }
    }
}
