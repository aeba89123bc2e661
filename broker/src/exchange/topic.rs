//! The topic exchange: a message goes where a pattern of words matches its key (AMQP 0-9-1, section 3.1.3.3). `*` is
//! one word, `#` is any number of them, none included; words stand between dots, and the empty key has no word at
//! all.
//!
//! A trie of words. Words have numbers, so a key's words are looked up once and each step is a look-up of two
//! numbers. Matching moves a set of nodes from word to word:
//!
//! ```text
//!   node ──word──▶ child      node ──*──▶ child      node ──(no word)──▶ its # child      # ──any word──▶ itself
//! ```
//!
//! Only a `#` node can be reached twice in one step, and a mark stops the second; so the work for a key is bounded by
//! its words times the nodes, whatever the patterns are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    bindings::{Binding, BindingId, Place},
    bucket::Bucket,
    message::{Message, Sink, mark},
};

const ROOT: u32 = 0;
/// No node; no word of any pattern.
const NIL: u32 = u32::MAX;

/// The trie.
#[derive(Debug)]
pub(super) struct Topic {
    nodes: Vec<Node>,
    free: Vec<u32>,
    edges: HashMap<(u32, u32), u32, RandomState>,
    words: HashMap<Box<str>, Word, RandomState>,
    next_word: u32,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    star: u32,
    hash: u32,
    /// Children by word, which stand in `edges`.
    children: u32,
    is_hash: bool,
    bucket: Bucket,
}

#[derive(Debug)]
struct Word {
    number: u32,
    /// Edges that bear it.
    uses: u32,
}

/// What matching needs beside the trie, kept from message to message.
#[derive(Debug, Default)]
pub(super) struct Walk {
    words: Vec<u32>,
    now: Vec<u32>,
    next: Vec<u32>,
    marks: Vec<u32>,
    pub(super) step: u32,
}

impl Default for Topic {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            edges: HashMap::default(),
            words: HashMap::default(),
            next_word: 0,
        }
    }
}

impl Topic {
    pub(super) fn attach(&mut self, id: BindingId, binding: &Binding) -> Place {
        let end = words(&binding.key).fold(ROOT, |node, word| self.child_or_new(node, word));
        let at = self.node_mut(end).map_or(0, |node| node.bucket.push(binding.destination, id));
        Place { bucket: end, at }
    }

    pub(super) fn detach(&mut self, binding: &Binding) -> Option<BindingId> {
        let Place { bucket: end, at } = binding.place;
        let moved = self.node_mut(end)?.bucket.take(at);
        self.prune(end, &binding.key);
        moved
    }

    pub(super) fn route(&self, message: &Message<'_>, sink: &mut Sink) {
        let mut walk = std::mem::take(&mut sink.walk);
        for key in message.keys {
            self.walk(key, &mut walk);
            let reached = walk.now.iter().filter_map(|at| self.node(*at));
            reached.for_each(|node| sink.add_all(&node.bucket));
        }
        sink.walk = walk;
    }

    /// Nodes with the root, edges by word, and words.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.nodes.len() - self.free.len(), self.edges.len(), self.words.len())
    }

    /// Leaves in `walk.now` the nodes where patterns that match the key end.
    fn walk(&self, key: &str, walk: &mut Walk) {
        walk.words.clear();
        walk.words.extend(words(key).map(|word| self.words.get(word).map_or(NIL, |word| word.number)));
        walk.begin_step();
        self.enter(ROOT, walk);
        std::mem::swap(&mut walk.now, &mut walk.next);
        for at in 0..walk.words.len() {
            let Some(&word) = walk.words.get(at) else { break };
            if walk.now.is_empty() {
                break;
            }
            self.step(word, walk);
        }
    }

    fn step(&self, word: u32, walk: &mut Walk) {
        walk.begin_step();
        let now = std::mem::take(&mut walk.now);
        for &at in &now {
            let Some(node) = self.node(at) else { continue };
            if node.is_hash {
                self.enter_hash(at, walk);
            }
            if node.star != NIL {
                self.enter(node.star, walk);
            }
            if node.children > 0
                && word != NIL
                && let Some(&child) = self.edges.get(&(at, word))
            {
                self.enter(child, walk);
            }
        }
        walk.now = std::mem::replace(&mut walk.next, now);
    }

    /// Into a node that nothing else leads to in this step, and into the `#` below it.
    fn enter(&self, at: u32, walk: &mut Walk) {
        walk.next.push(at);
        if let Some(node) = self.node(at)
            && node.hash != NIL
        {
            self.enter_hash(node.hash, walk);
        }
    }

    /// Into a `#` node, and the chain of `#` below it, as far as they were not entered in this step.
    fn enter_hash(&self, mut at: u32, walk: &mut Walk) {
        while at != NIL && mark(&mut walk.marks, at, walk.step) {
            walk.next.push(at);
            at = self.node(at).map_or(NIL, |node| node.hash);
        }
    }

    fn child_or_new(&mut self, at: u32, word: &str) -> u32 {
        match self.child(at, word) {
            NIL => self.grow(at, word),
            child => child,
        }
    }

    fn child(&self, at: u32, word: &str) -> u32 {
        let Some(node) = self.node(at) else { return NIL };
        match word {
            "*" => node.star,
            "#" => node.hash,
            word => {
                let edge = self.words.get(word).and_then(|word| self.edges.get(&(at, word.number)));
                edge.copied().unwrap_or(NIL)
            }
        }
    }

    fn grow(&mut self, at: u32, word: &str) -> u32 {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
        });
        if let Some(node) = self.node_mut(child) {
            *node = Node { parent: at, is_hash: word == "#", ..Node::default() };
        }
        self.set_child(at, word, child);
        child
    }

    fn set_child(&mut self, at: u32, word: &str, child: u32) {
        let literal = !matches!(word, "*" | "#");
        let Some(node) = self.node_mut(at) else { return };
        match word {
            "*" => node.star = child,
            "#" => node.hash = child,
            _ => node.children += 1,
        }
        if literal {
            let number = self.use_word(word);
            self.edges.insert((at, number), child);
        }
    }

    /// Cuts the branch from `end` up to the first node that still serves.
    fn prune(&mut self, end: u32, key: &str) {
        let mut at = end;
        let mut rest = (!key.is_empty()).then_some(key);
        while let Some(path) = rest {
            let (above, word) = match path.rsplit_once('.') {
                Some((above, word)) => (Some(above), word),
                None => (None, path),
            };
            let Some(node) = self.node(at) else { return };
            if at == ROOT || !node.is_useless() {
                return;
            }
            let parent = node.parent;
            self.cut(parent, word);
            self.free.push(at);
            at = parent;
            rest = above;
        }
    }

    fn cut(&mut self, parent: u32, word: &str) {
        let Some(node) = self.node_mut(parent) else { return };
        match word {
            "*" => node.star = NIL,
            "#" => node.hash = NIL,
            word => {
                node.children -= 1;
                self.release_word(parent, word);
            }
        }
    }

    fn use_word(&mut self, text: &str) -> u32 {
        if let Some(word) = self.words.get_mut(text) {
            word.uses += 1;
            return word.number;
        }
        let number = self.next_word;
        self.next_word = (self.next_word + 1) % NIL;
        self.words.insert(text.into(), Word { number, uses: 1 });
        number
    }

    fn release_word(&mut self, parent: u32, text: &str) {
        let Some(word) = self.words.get_mut(text) else { return };
        self.edges.remove(&(parent, word.number));
        word.uses -= 1;
        if word.uses == 0 {
            self.words.remove(text);
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)
    }
}

impl Default for Node {
    fn default() -> Self {
        Self { parent: NIL, star: NIL, hash: NIL, children: 0, is_hash: false, bucket: Bucket::default() }
    }
}

impl Node {
    fn is_useless(&self) -> bool {
        self.bucket.is_empty() && self.children == 0 && self.star == NIL && self.hash == NIL
    }
}

impl Walk {
    fn begin_step(&mut self) {
        self.next.clear();
        self.step = self.step.wrapping_add(1);
        if self.step == 0 {
            self.marks.fill(0);
            self.step = 1;
        }
    }
}

fn words(key: &str) -> impl Iterator<Item = &str> {
    (!key.is_empty()).then(|| key.split('.')).into_iter().flatten()
}
