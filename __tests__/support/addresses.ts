/** E-mail addresses as people have them, and unusual ones that the standard allows. */
export const addresses = [
  'jane@example.com',
  'jane-doe@my-shop.example',
  'jane.doe@mail.example.co.uk',
  'jane+shop@example.com',
  'jane_doe@example.com',
  "o'neil@example.com",
  '"jane doe"@example.com',
  '"jane\\"d"@example.com',
  'jane@[192.0.2.1]',
  'a.b(c)[d]{e}^f|g?h*i$j/k@example.com',
  "jane$&$`$'$1@example.com",
  '100%jane@example.com',
  'josé@bücher.example',
  'ΐσ@παράδειγμα.example',
  'ς@πάρος',
  'straße@straße.example',
  'i̇ı@example.com.tr',
  '用户@例子.example',
  'ñoño@😀.example',
  `${'l'.repeat(64)}@${'d'.repeat(63)}.example`,
]

type Wrap = (address: string) => string

/** The encodings in which an address occurs inside another string. */
export const spellings = {
  'as it is': (address) => address,
  'in upper case': (address) => address.toUpperCase(),
  decomposed: (address) => address.normalize('NFD'),
  'with a space for its plus': (address) => address.replaceAll('+', ' '),
  'encoded once more': encodeURIComponent,
  'encoded twice more': (address) => encodeURIComponent(encodeURIComponent(address)),
  'encoded in small letters': (address) =>
    encodeURIComponent(address).replace(/%../g, (escape) => escape.toLowerCase()),
  'encoded as a form': (address) => new URLSearchParams({ a: address }).toString().slice('a='.length),
  'with nothing encoded but the @': (address) => address.replace(/@(?!.*@)/, '%40'),
  'in JSON': (address) => JSON.stringify(address),
} as const satisfies Readonly<Record<string, Wrap>>

/** Strings around an address. */
export const surroundings: Readonly<Record<string, Wrap>> = {
  nothing: (address) => address,
  words: (address) => `no account of ${address}, sorry`,
  brackets: (address) => `Jane <${address}>`,
  letters: (address) => `x${address}x`,
  digits: (address) => `1${address}1`,
  'accented letters': (address) => `é${address}é`,
  'an accent': (address) => `\u0301${address}\u0301`,
  'a letter with a capital of its own': (address) => `Σ${address}Σ`,
  underscores: (address) => `_${address}_`,
  '-old': (address) => `${address}-old`,
  '.old': (address) => `old.${address}.old`,
  'a percent sign': (address) => `100% ${address} %`,
  'half a pair': (address) => `\ud800${address}\udc00`,
  'a byte that is not UTF-8': (address) => `%E4 ${address} %ff`,
  'what grows in another case': (address) => `İẞŉ${address}ΐﬁ`,
}
