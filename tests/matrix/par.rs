//! The claims and results of a parallel call.

use offspring::par::{Reason, Rehearsal};
use offspring::proof::{Fault, Scenario, Scene, Verdict};

use crate::{coarse, conclude};

const ITEMS: usize = 8;
const CHUNK: usize = 2;

fn rig(is_plain: bool) -> impl Fn() -> Rehearsal {
    move || Rehearsal::new(ITEMS, CHUNK, 3, is_plain).expect("make the tables")
}

/// What an item gives; it is noted that it was run.
fn item(scene: &Scene) -> impl Fn(&usize) -> [u64; 2] {
    move |&item| {
        scene.log(1 + item as u64);
        [item as u64, !(item as u64)]
    }
}

fn works(seat: usize) -> impl Fn(&Rehearsal, &Scene) {
    move |rig, scene| {
        scene.begin();
        rig.work(seat, item(scene));
        scene.end();
    }
}

/// Each item was run once at most, and has its result or is named once, with its worker's death. A death costs one chunk at most.
fn check(rig: &Rehearsal, scene: &Scene, died: &[bool]) -> Verdict {
    let result = rig.gather(died, item(scene));
    let (results, failures) = match &result {
        Ok(values) => (values.iter().copied().map(Some).collect(), &[][..]),
        Err(error) => (error.partial().to_vec(), error.failures()),
    };
    let mut named = [0; ITEMS];
    for failure in failures {
        failure.items().for_each(|item| named[item] += 1);
        let is_death = matches!(failure.reason(), Reason::Died { .. });
        if !is_death || !failure.items().contains(&failure.at()) {
            return Err(Fault::broken(format!("{failure:?}")));
        }
    }
    let logged = scene.logged();
    let mut lost_chunks: Vec<usize> = Vec::new();
    for (item, value) in results.iter().enumerate() {
        let ran = logged.iter().filter(|&&entry| entry == 1 + item as u64).count();
        match value {
            _ if ran > 1 => return Err(Fault::doubled(format!("item {item}: {logged:?}"))),
            Some(words) if *words != [item as u64, !(item as u64)] => {
                return Err(Fault::torn(format!("item {item}: {words:?}")));
            }
            Some(_) if ran == 1 && named[item] == 0 => {}
            None if named[item] == 1 => lost_chunks.push(item / CHUNK),
            _ => return Err(Fault::lost(format!("item {item}: {value:?}, {failures:?}"))),
        }
    }
    lost_chunks.dedup();
    let deaths = died.iter().filter(|&&died| died).count();
    match results.len() == ITEMS && lost_chunks.len() <= deaths {
        true => Ok(0),
        false => Err(Fault::lost(format!("chunks {lost_chunks:?}: {failures:?}"))),
    }
}

/// Workers that claim, run, and tell.
pub(crate) fn claims() {
    let alone = |name: &str, is_plain: bool, stride: usize| {
        Scenario::new(name, rig(is_plain))
            .victim(works(0))
            .every(stride)
            .check(|rig, scene| check(rig, scene, &[!scene.is_finished()]))
    };
    let second = Scenario::new("a worker died, the next one dies", rig(false))
        .first_victim(coarse(701), works(0))
        .victim(works(1))
        .every(coarse(41))
        .check(|rig, scene| check(rig, scene, &[!scene.is_first_finished(), !scene.is_finished()]));
    let held = |name: &str, is_plain: bool| {
        Scenario::new(name, rig(is_plain))
            .bystander("a worker", |rig, scene| {
                scene.hold();
                rig.work(1, item(scene));
            })
            .victim(works(0))
            .pauses()
            .every(coarse(11))
            .check(|rig, scene| {
                let verdict = check(rig, scene, &[false, false]);
                if scene.logged().len() != ITEMS {
                    return Err(Fault::lost(format!("{:?}", scene.logged())));
                }
                verdict
            })
    };
    let scenarios = vec![
        alone("claim, run, tell", false, coarse(9)),
        alone("claim, run, tell, plain results", true, 1),
        second,
        held("a worker is held, another works", false),
        held("a worker is held, another works, plain results", true),
    ];
    conclude("par", scenarios);
}
