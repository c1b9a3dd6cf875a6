/* Writes the table of internal/confusable: each character that Unicode calls confusable with others, by the prototype that
 * stands for all of them (UTS 39, section 4). The data is the ICU library's copy of Unicode's confusables.txt.
 *
 *   cc main.c -licui18n -licuuc -o table && ./table >../../internal/confusable/table.txt
 */
#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

int main(void) {
	UErrorCode status = U_ZERO_ERROR;
	USpoofChecker *checker = uspoof_open(&status);
	const UNormalizer2 *nfd = unorm2_getNFDInstance(&status);
	if (U_FAILURE(status)) {
		fprintf(stderr, "%s\n", u_errorName(status));
		return 1;
	}
	printf("# The confusables of Unicode %s (UTS 39): prototype, then the characters that it stands for.\n", U_UNICODE_VERSION);
	printf("# Made by tools/confusables from ICU %s. Terms of use: LICENSE-UNICODE.\n", U_ICU_VERSION);
	for (UChar32 c = 0; c <= 0x10FFFF; c++) {
		UChar from[2], to[64];
		char character[8], prototype[256];
		int32_t n = 0, length;
		if (U_IS_SURROGATE(c) || !u_isdefined(c) || u_charType(c) == U_PRIVATE_USE_CHAR) {
			continue;
		}
		U16_APPEND_UNSAFE(from, n, c);
		if (!unorm2_isNormalized(nfd, from, n, &status)) {
			continue; /* its decomposition is looked up instead */
		}
		length = uspoof_getSkeleton(checker, 0, from, n, to, 64, &status);
		if (U_FAILURE(status)) {
			fprintf(stderr, "%04X: %s\n", c, u_errorName(status));
			return 1;
		}
		if (length == n && memcmp(from, to, n * sizeof(UChar)) == 0) {
			continue;
		}
		u_strToUTF8(character, sizeof character, NULL, from, n, &status);
		u_strToUTF8(prototype, sizeof prototype, NULL, to, length, &status);
		printf("%s\t%s\n", prototype, character);
	}
	return 0;
}
