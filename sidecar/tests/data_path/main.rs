//! The data path in one process: a caller's sidecar, the replicas' sidecars, their applications. Each case
//! asserts one behaviour of DESIGN.md, "The sidecar's path of a call" and "What happens when".

mod failure;
mod http;
mod load;
mod mesh;
mod opaque;
