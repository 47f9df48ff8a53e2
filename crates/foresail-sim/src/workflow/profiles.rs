//! The functions of the published workloads, by name, with a surface each.
//!
//! Names are the published ones; the surfaces are ours: work and memory as such functions have them
//! on a core of today, not measurements of the originals, whose models and inputs are not at hand.
//! Source of the names: specs/aapa_aquatope.md 2.6.

use super::surface::Surface;

/// One function whose service time is known.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Seconds that nothing shortens, work in core·seconds, memory needed in MiB.
    plain: [f64; 3],
    /// Share of the work that several cores share, in percent, and the most cores of use.
    parallel: [f64; 2],
}

impl Profile {
    /// Its surface.
    #[must_use]
    pub fn surface(&self) -> Surface {
        let [fixed, work, memory] = self.plain;
        Surface::new(fixed, work, memory).parallel(self.parallel[0], self.parallel[1])
    }
}

/// A function whose work is all parallel, on any number of cores.
const ALL: [f64; 2] = [100.0, 1000.0];

const fn of(
    name: &'static str,
    summary: &'static str,
    plain: [f64; 3],
    parallel: [f64; 2],
) -> Profile {
    Profile {
        name,
        summary,
        plain,
        parallel,
    }
}

/// Every function whose service time is known.
pub static PROFILES: [Profile; 32] = [
    // Source: specs/aapa_aquatope.md PART 4, reference workflow.
    of(
        "reference-1",
        "first of the reference",
        [0.3, 2.0, 512.0],
        ALL,
    ),
    of(
        "reference-2",
        "second of the reference",
        [0.4, 4.0, 1024.0],
        ALL,
    ),
    of(
        "reference-3",
        "third of the reference",
        [0.2, 1.0, 256.0],
        ALL,
    ),
    of(
        "chain-parse",
        "reads a document",
        [0.05, 0.4, 192.0],
        [0.0, 1.0],
    ),
    of(
        "chain-extract",
        "takes text out of it",
        [0.1, 1.6, 512.0],
        [80.0, 4.0],
    ),
    of(
        "chain-translate",
        "translates it by a small net",
        [0.1, 3.2, 1280.0],
        [90.0, 6.0],
    ),
    of(
        "chain-store",
        "writes it away",
        [0.2, 0.2, 160.0],
        [0.0, 1.0],
    ),
    of(
        "fan-split",
        "splits a data set",
        [0.1, 0.3, 256.0],
        [0.0, 1.0],
    ),
    of("fan-sort", "sorts a part", [0.05, 2.4, 768.0], [70.0, 4.0]),
    of(
        "fan-compress",
        "compresses a part",
        [0.05, 3.6, 256.0],
        [95.0, 6.0],
    ),
    of("fan-hash", "hashes a part", [0.05, 1.2, 128.0], [0.0, 1.0]),
    of(
        "fan-join",
        "joins the parts",
        [0.15, 0.6, 512.0],
        [0.0, 1.0],
    ),
    of(
        "ml-image-processing",
        "flips, rotates, blurs and greys an image",
        [0.25, 1.4, 320.0],
        [40.0, 2.0],
    ),
    of(
        "ml-object-detection",
        "yolo3_darknet53_voc",
        [0.3, 6.5, 1536.0],
        [92.0, 6.0],
    ),
    of(
        "ml-human",
        "faster_rcnn_resnet50_v1b_voc",
        [0.3, 9.0, 2048.0],
        [92.0, 6.0],
    ),
    of(
        "ml-vehicle",
        "ssd_512_resnet50_v1_voc",
        [0.3, 5.0, 1280.0],
        [92.0, 6.0],
    ),
    of(
        "video-split",
        "cuts a video into chunks of ten seconds",
        [0.2, 0.5, 256.0],
        [0.0, 1.0],
    ),
    of(
        "video-watermark",
        "puts a mark into a chunk",
        [0.3, 3.0, 512.0],
        [85.0, 6.0],
    ),
    of(
        "video-transcode",
        "transcodes a chunk",
        [0.3, 8.0, 768.0],
        [95.0, 6.0],
    ),
    of(
        "video-scenechange",
        "finds changes of scene in a chunk",
        [0.3, 4.0, 512.0],
        [75.0, 4.0],
    ),
    of(
        "video-concat",
        "puts the chunks together",
        [0.4, 0.6, 384.0],
        [0.0, 1.0],
    ),
    of(
        "video-face-detection-opencv",
        "finds faces in every frame (Haar)",
        [0.3, 12.0, 640.0],
        [80.0, 6.0],
    ),
    of(
        "compose-post",
        "takes a post in",
        [0.02, 0.05, 160.0],
        [0.0, 1.0],
    ),
    of(
        "store-post",
        "stores a post",
        [0.04, 0.03, 160.0],
        [0.0, 1.0],
    ),
    of(
        "read-social-graph",
        "reads followers",
        [0.03, 0.04, 192.0],
        [0.0, 1.0],
    ),
    of(
        "write-home-timeline",
        "writes to the followers' timelines",
        [0.06, 0.06, 192.0],
        [0.0, 1.0],
    ),
    of(
        "write-user-timeline",
        "writes to the author's timeline",
        [0.04, 0.03, 160.0],
        [0.0, 1.0],
    ),
    of(
        "text-filter",
        "judges the sentiment of a text",
        [0.02, 0.25, 384.0],
        [30.0, 2.0],
    ),
    of(
        "image-filter",
        "judges an image (MobileNetV3)",
        [0.05, 0.6, 640.0],
        [85.0, 4.0],
    ),
    of(
        "read-home-timeline",
        "reads a home timeline",
        [0.03, 0.04, 160.0],
        [0.0, 1.0],
    ),
    of(
        "read-user-timeline",
        "reads a user's timeline",
        [0.03, 0.04, 160.0],
        [0.0, 1.0],
    ),
    of("read-post", "reads posts", [0.05, 0.06, 192.0], [0.0, 1.0]),
];

/// A function by its name.
#[must_use]
pub fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|p| p.name == name)
}

/// The names of every function that is known.
#[must_use]
pub fn profile_names() -> Vec<&'static str> {
    PROFILES.iter().map(|p| p.name).collect()
}
