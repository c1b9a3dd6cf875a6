package confusable

import "testing"

// TestSkeleton: texts that are drawn alike have one skeleton, and a skeleton is its own.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"paypal", "𝔭𝒶ỿ𝕡𝕒ℓ"}, {"Zapier", "Zаpier"}, {"scope", "ѕсоре"}, {"modern", "modem"}, {"Google", "Gооgle"}, {"A", "Α"}, {"l", "Ⅰ"},
	} {
		if a, b := Skeleton(pair[0]), Skeleton(pair[1]); a != b {
			t.Errorf("%q and %q have the skeletons %q and %q", pair[0], pair[1], a, b)
		}
	}
	for _, s := range []string{"", "Zapier", "Beta", "Café", "日本語", "Яндекс", "𝔭𝒶ỿ𝕡𝕒ℓ"} {
		if once := Skeleton(s); Skeleton(once) != once {
			t.Errorf("the skeleton of %q changes when it is taken again: %q, %q", s, once, Skeleton(once))
		}
	}
}

// TestAlike: which names people can take for each other.
func TestAlike(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"Zapier": true, "ZAPIER": true, "Z a p i e r": true, "Zаpier": true, "Ｚａｐｉｅｒ": true, "𝒁𝒂𝒑𝒊𝒆𝒓": true, "Zápier": true, "Zapier™": true, "Zapier!": true,
		"Ζapier": true, "ZapIer": true, "Zapie\u200dr": true, "Zapiers": false, "Zap": false, "Happier": false, "": false, "✓": false,
	} {
		if got := Alike(Keys("Zapier"), Keys(name)); got != want {
			t.Errorf("%q is like Zapier: %t, want %t (%q)", name, got, want, Keys(name))
		}
	}
	if Alike(Keys(""), Keys("✓")) {
		t.Error("names without letters are alike")
	}
	if !Alike(Keys("g00gle"), Keys("Google")) || !Alike(Keys("PAYPAI"), Keys("PAYPAl")) {
		t.Error("digits and capitals distinguish names that look alike")
	}
}

// TestMixed: one word has letters of one writing system.
func TestMixed(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]bool{
		"Zapier": false, "Яндекс": false, "Zаpier": true, "αlpha": true, "Gօօgle": true, "日本語アプリ": false, "ラインApp": false, "한국App": false,
		"Café": false, "שלום": false, "Ꭺlpha": true, "": false, "365": false, "Яx": true,
	} {
		if got := Mixed(word); got != want {
			t.Errorf("%q is of mixed scripts: %t, want %t", word, got, want)
		}
	}
}

// TestStyled: letters that are others in a special form.
func TestStyled(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"𝐗𝐞𝐧𝐨": true, "Ⓩapier": true, "ℙay": true, "Zapier™": false, "Café №5": false, "日本": false, "Plain": false, "🅰pp": false} {
		if _, usual, got := Styled(name); got != want || got && usual == "" {
			t.Errorf("%q is styled: %t, want %t", name, got, want)
		}
	}
}
