//! Training a model from a heap of sorted mail: several passes in a mixed order, the same each time; and what of old mail is of
//! use elsewhere.

use message::{Choice, choose_fields, fields};

use crate::collector::{Features, View};
use crate::header::HEADER_OCTETS_MAX;
use crate::learn::Pace;
use crate::model::{Class, Fusion, Model};

/// Passes over the mail.
const PASSES: usize = 6;

/// Parts of the mail, of which each is asked in turn what the fusion is worth.
const PARTS: usize = 5;

/// Passes over what the views said, and the length of the first one's steps.
const FUSION_PASSES: usize = 20;
const FUSION_RATE: f32 = 0.02;

/// Fields that say what a message is, not where it was collected: who received it, over which hosts and lists, would be learned
/// from old mail as a sign of wanted mail, and is none anywhere else.
const PORTABLE: [&str; 20] = [
    "From",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-Language",
    "X-Mailer",
    "X-Newsreader",
    "User-Agent",
    "X-Priority",
    "X-MSMail-Priority",
    "Importance",
    "Organization",
    "X-Accept-Language",
];

/// A message without what ties it to the place where it was collected, to train a model for other places.
pub fn portable(message: &[u8]) -> Vec<u8> {
    let bounded = message.get(..HEADER_OCTETS_MAX).unwrap_or(message);
    let mut all = fields(bounded);
    all.by_ref().for_each(drop);
    let header_octets = bounded.len() - all.rest().len();
    let (header, body) = message.split_at_checked(header_octets).unwrap_or((message, &[]));
    let mut portable = Vec::with_capacity(message.len());
    choose_fields(header, &PORTABLE, Choice::Named, &mut portable);
    portable.extend_from_slice(body);
    portable
}

/// A model trained from these messages.
pub fn train(messages: &[(Features, Class)]) -> Model<Vec<u8>> {
    let fusion = fuse(&mut asked(messages));
    let mut model = passes(messages, (0..messages.len()).collect());
    model.set_fusion(&fusion);
    model.seal();
    model
}

/// What the views say of mail that they have not seen: of each part, those that learned from the others.
fn asked(messages: &[(Features, Class)]) -> Vec<([f32; View::COUNT], Class)> {
    let mut asked = Vec::with_capacity(messages.len());
    for part in 0..PARTS {
        let (here, others): (Vec<usize>, Vec<usize>) =
            (0..messages.len()).partition(|index| index % PARTS == part);
        let teacher = passes(messages, others);
        let here = here.into_iter().filter_map(|index| messages.get(index));
        asked.extend(here.map(|(features, class)| (teacher.views(features), *class)));
    }
    asked
}

fn passes(messages: &[(Features, Class)], mut order: Vec<usize>) -> Model<Vec<u8>> {
    let mut model = Model::empty();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..PASSES {
        random.mix(&mut order);
        for (features, class) in order.iter().filter_map(|&index| messages.get(index)) {
            let views = model.views(features);
            model.learn_views(features, &views, *class, Pace::Heap);
        }
    }
    for class in [Class::Wanted, Class::Unwanted] {
        model.set_learned(class, messages.iter().filter(|message| message.1 == class).count() as u64);
    }
    model
}

/// Logistic regression over what the views say of mail they have not seen.
fn fuse(asked: &mut [([f32; View::COUNT], Class)]) -> Fusion {
    let mut fusion = Fusion::NEUTRAL;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for pass in 0..FUSION_PASSES {
        random.mix(asked);
        for (views, class) in asked.iter() {
            fusion.learn(views, *class, FUSION_RATE / (1.0 + pass as f32));
        }
    }
    fusion
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    /// Fisher and Yates's shuffle.
    fn mix<T>(&mut self, order: &mut [T]) {
        for last in (1..order.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}
