//! Many of everything on one broker, and what one client's weight means for the others: a backlog beyond memory, many channels,
//! connections, queues and bindings, a slow consumer, a publisher faster than the disk. Real processes; the figures are
//! printed, and bounds are wide enough for a machine that does other things as well.

mod backlog;
mod fair;
mod many;
mod probe;
