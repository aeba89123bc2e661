//! The lease wheel: who must renew by when; names whose lease ended come out.
