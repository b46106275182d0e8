//! Which language a text is in, cheaply: by its script, and by its commonest words where several languages share one.

/// Letters that are looked at.
const LETTERS_MAX: usize = 4_000;

/// Letters below which nobody can tell.
const LETTERS_MIN: usize = 40;

/// Common words that a text must have to be called of a language, and how many times as many as of the next likely one, in tenths.
const WORDS_MIN: usize = 4;
const LEAD_TENTHS: usize = 15;

/// A language that can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(&'static str);

/// Words of languages in Latin letters that no other of them has as often.
const LATIN: [(&str, &[&str]); 17] = [
    ("en", &["the", "and", "of", "is", "that", "you", "with", "this", "are", "your", "for", "have", "will"]),
    ("de", &["und", "der", "die", "das", "nicht", "ist", "sie", "mit", "ein", "ich", "auf", "wir", "für"]),
    ("fr", &["le", "et", "les", "des", "vous", "une", "pour", "est", "dans", "nous", "votre", "du", "sur"]),
    ("es", &["el", "los", "una", "por", "para", "con", "las", "del", "su", "y", "más", "es", "que"]),
    ("it", &["il", "che", "di", "per", "della", "sono", "gli", "con", "una", "è", "nel", "non", "alla"]),
    ("pt", &["o", "os", "uma", "não", "para", "com", "você", "em", "ao", "mais", "seu", "são", "da"]),
    ("nl", &["het", "een", "van", "en", "dat", "niet", "voor", "zijn", "ik", "op", "wij", "uw", "met"]),
    ("pl", &["nie", "się", "jest", "na", "do", "że", "oraz", "dla", "jak", "od", "przez", "w", "z"]),
    ("cs", &["je", "se", "že", "na", "jsem", "které", "pro", "jako", "není", "jsou", "která", "při", "nebo"]),
    ("sv", &["och", "att", "det", "som", "är", "på", "för", "inte", "jag", "med", "ett", "vi", "den"]),
    ("da", &["og", "det", "ikke", "jeg", "er", "af", "til", "på", "vi", "som", "også", "fra", "med"]),
    ("no", &["og", "ikke", "jeg", "på", "av", "til", "som", "vi", "også", "fra", "deg", "noe", "eller"]),
    ("fi", &["ja", "on", "ei", "että", "se", "olen", "mutta", "ovat", "kun", "voi", "myös", "tai", "sinun"]),
    ("tr", &["ve", "bir", "bu", "için", "ile", "de", "olarak", "daha", "çok", "olan", "ne", "var", "değil"]),
    ("hu", &["az", "és", "hogy", "nem", "egy", "ez", "meg", "is", "van", "csak", "mint", "vagy", "ha"]),
    ("ro", &["și", "în", "este", "nu", "pentru", "care", "din", "sunt", "cu", "mai", "pe", "sau", "fi"]),
    ("vi", &["và", "của", "là", "có", "không", "cho", "được", "các", "một", "với", "trong", "người", "này"]),
];

/// The same in Cyrillic letters.
const CYRILLIC: [(&str, &[&str]); 3] = [
    ("ru", &["и", "не", "что", "это", "как", "мы", "вы", "для", "по", "или", "с", "из", "вас"]),
    ("uk", &["і", "не", "що", "це", "як", "ми", "ви", "для", "та", "або", "з", "від", "у"]),
    ("bg", &["и", "не", "че", "това", "как", "ние", "за", "по", "или", "от", "са", "се", "на"]),
];

/// Languages that are alone with their script.
const ALONE: [&str; 9] = ["zh", "ja", "ko", "ar", "he", "el", "th", "hi", "ka"];

/// A text in Cyrillic letters too short to say which of these it is: who reads none of them does not read it.
const SOME_CYRILLIC: Language = Language("ru, uk or bg");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Alone(&'static str),
}

impl Language {
    /// A language by its code of two letters (ISO 639-1); `None` if it cannot be told from others here.
    pub fn parse(code: &str) -> Option<Language> {
        let told = LATIN.iter().chain(&CYRILLIC).map(|(known, _)| *known).chain(ALONE);
        told.into_iter().find(|known| known.eq_ignore_ascii_case(code)).map(Language)
    }

    /// Its code of two letters.
    pub fn code(self) -> &'static str {
        self.0
    }

    /// Whether somebody who reads these languages may read it.
    pub fn is_among(self, read: &[Language]) -> bool {
        let is_cyrillic = |language: &Language| CYRILLIC.iter().any(|(code, _)| *code == language.0);
        read.contains(&self) || (self == SOME_CYRILLIC && read.iter().any(is_cyrillic))
    }

    /// The language that most of a text is in; `None` if that is not clear.
    pub fn of(text: &str) -> Option<Language> {
        let mut counts: Vec<(Script, usize)> = Vec::new();
        let mut letters = 0;
        for c in text.chars().filter(|c| c.is_alphabetic()).take(LETTERS_MAX) {
            letters += 1;
            let Some(script) = script(c) else { continue };
            match counts.iter_mut().find(|(known, _)| *known == script) {
                Some((_, count)) => *count += 1,
                None => counts.push((script, 1)),
            }
        }
        // Japanese is mostly written with Chinese characters among its own.
        let kana =
            counts.iter().find(|(script, _)| *script == Script::Alone("ja")).map_or(0, |(_, count)| *count);
        let (script, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if letters < LETTERS_MIN || count * 2 < letters {
            return None;
        }
        match script {
            Script::Alone("zh") if kana * 8 > count => Some(Language("ja")),
            Script::Alone(code) => Some(Language(code)),
            Script::Latin => by_words(text, &LATIN),
            Script::Cyrillic => by_words(text, &CYRILLIC).or(Some(SOME_CYRILLIC)),
        }
    }
}

fn script(c: char) -> Option<Script> {
    Some(match u32::from(c) {
        0x41..=0x24f | 0x1e00..=0x1eff => Script::Latin,
        0x370..=0x3ff => Script::Alone("el"),
        0x400..=0x52f => Script::Cyrillic,
        0x590..=0x5ff => Script::Alone("he"),
        0x600..=0x6ff | 0x750..=0x77f => Script::Alone("ar"),
        0x900..=0x97f => Script::Alone("hi"),
        0xe00..=0xe7f => Script::Alone("th"),
        0x10a0..=0x10ff => Script::Alone("ka"),
        0x3040..=0x30ff => Script::Alone("ja"),
        0x3400..=0x4dbf | 0x4e00..=0x9fff => Script::Alone("zh"),
        0xac00..=0xd7af | 0x1100..=0x11ff => Script::Alone("ko"),
        _ => return None,
    })
}

fn by_words(text: &str, languages: &[(&'static str, &[&str])]) -> Option<Language> {
    let text = text.get(..text.floor_char_boundary(2 * LETTERS_MAX)).unwrap_or_default().to_lowercase();
    let mut counts: Vec<(usize, &'static str)> = languages.iter().map(|(code, _)| (0, *code)).collect();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        for ((_, words), (count, _)) in languages.iter().zip(&mut counts) {
            *count += usize::from(words.contains(&word));
        }
    }
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let (first, code) = counts.first().copied()?;
    let second = counts.get(1).map_or(0, |(count, _)| *count);
    (first >= WORDS_MIN && first * 10 >= second * LEAD_TENTHS).then_some(Language(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (code, text) in [
            (
                "en",
                "The garden is green and the flowers are in bloom, and you will like that you can sit with your friends.",
            ),
            (
                "de",
                "Der Garten ist grün und die Blumen blühen, und das ist nicht alles, was wir mit ihm haben.",
            ),
            (
                "fr",
                "Le jardin est vert et les fleurs sont dans une belle saison, nous vous attendons pour une visite.",
            ),
            (
                "es",
                "El jardín es verde y las flores del parque son para los niños que juegan con su pelota, por la tarde.",
            ),
            (
                "ru",
                "Сад зелёный, и цветы цветут, это не всё, что мы для вас посадили, и как вы видите, это хорошо.",
            ),
            (
                "zh",
                "花园是绿色的花朵正在盛开我们邀请您和您的朋友一起来参观这个美丽的地方请在星期天下午来这里我们等待您的到来谢谢",
            ),
            (
                "ja",
                "庭は緑で花が咲いていますので友達と一緒に来てくださいね日曜日の午後に待っていますよろしくお願いします",
            ),
            ("el", "Ο κήπος είναι πράσινος και τα λουλούδια ανθίζουν στην αυλή του σπιτιού μας"),
        ] {
            assert_eq!(Language::of(text).map(Language::code), Some(code), "{text}");
        }
    }

    #[test]
    fn what_is_not_clear_is_not_told() {
        for text in
            ["", "the and of is", "xyzzy plugh frobozz quux corge grault garply waldo fred thud plover"]
        {
            assert_eq!(Language::of(text), None, "{text}");
        }
        // What no language in Latin letters could be is not in one, however short.
        let cyrillic = Language::of("Здравствуйте, встреча состоится во вторник в десять часов").unwrap();
        let read = |codes: &[&str]| codes.iter().filter_map(|code| Language::parse(code)).collect::<Vec<_>>();
        assert!(!cyrillic.is_among(&read(&["en", "de"])));
        assert!(cyrillic.is_among(&read(&["en", "uk"])) && cyrillic.is_among(&read(&["ru"])));
        assert_eq!(Language::parse(cyrillic.code()), None);
        let near = "a".repeat(LETTERS_MIN - 1).replace('a', "花");
        assert_eq!(Language::of(&near), None);
        assert!(Language::of(&format!("{near}花")).is_some());
        assert_eq!((Language::parse("DE").map(Language::code), Language::parse("xx")), (Some("de"), None));
    }
}
