//! Circles in who waits for whom.
//!
//! An edge leads from a thread that sleeps on a lock to the thread that has it. All threads of a circle slept from the first look to
//! the second, and in between each lock's own word named the next one: so at one moment all of that was true, and none of them can
//! do anything about it. (A permit of a semaphore may come from anybody: that is no edge.)

use std::collections::{BTreeMap, BTreeSet};

/// The circles in a graph, each once, from its smallest member on. Where circles share members, one that leads through each member.
pub(super) fn circles(edges: &BTreeMap<u32, Vec<u32>>) -> Vec<Vec<u32>> {
    let mut found = BTreeSet::new();
    let mut done = BTreeSet::new();
    for &start in edges.keys() {
        // Depth first, without recursion: the path, and how many edges of each of its members were followed.
        let mut path: Vec<(u32, usize)> = vec![(start, 0)];
        while let Some(&mut (node, ref mut followed)) = path.last_mut() {
            let next = edges.get(&node).and_then(|next| next.get(*followed)).copied();
            *followed += 1;
            match next {
                None => {
                    done.insert(node);
                    path.pop();
                }
                Some(next) => match path.iter().position(|&(member, _)| member == next) {
                    Some(first) => {
                        let circle: Vec<u32> =
                            path[first..].iter().map(|&(node, _)| node).collect();
                        found.insert(turned(circle));
                    }
                    None if !done.contains(&next) => path.push((next, 0)),
                    None => {}
                },
            }
        }
    }
    found.into_iter().collect()
}

/// The same circle, beginning with its smallest member.
fn turned(mut circle: Vec<u32>) -> Vec<u32> {
    let smallest = circle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    circle.rotate_left(smallest);
    circle
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn circles_are_found_once() {
        let graph = |edges: &[(u32, &[u32])]| {
            circles(&edges.iter().map(|&(from, to)| (from, to.to_vec())).collect())
        };
        assert!(graph(&[]).is_empty());
        assert!(graph(&[(1, &[2]), (2, &[3]), (4, &[3])]).is_empty());
        assert_eq!(graph(&[(1, &[2]), (2, &[1]), (3, &[1])]), [[1, 2]]);
        assert_eq!(graph(&[(5, &[5])]), [[5]]);
        assert_eq!(graph(&[(9, &[7]), (7, &[8]), (8, &[9])]), [[7, 8, 9]]);
        assert_eq!(graph(&[(1, &[2, 3]), (2, &[1]), (3, &[1])]), [[1, 2], [1, 3]]);
        let ring: Vec<(u32, Vec<u32>)> = (0..10_000).map(|n| (n, vec![(n + 1) % 10_000])).collect();
        assert_eq!(circles(&ring.into_iter().collect()).len(), 1);
    }
}
