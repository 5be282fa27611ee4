import { redactUrl } from '../../lib/index.js'

test.each([
  ['/webhook?conversion=success&token=x', '/webhook'],
  ['/webhook#top', '/webhook'],
  ['/webhook/0123456789abcdef', '/webhook/[redacted]'],
  ['/webhook/0123456789abcde', '/webhook/0123456789abcde'],
  ['/webhook/0123456789abcdef/?a=1', '/webhook/[redacted]/'],
  ['/0123456789abcdef/webhook', '/[redacted]/webhook'],
  ['https://user:pass@shop.example/webhook?x=1', 'https://shop.example/webhook'],
  ['https://shop.example:8443/webhook/0123456789abcdef', 'https://shop.example:8443/webhook/[redacted]'],
  ['HTTPS://shop.example?x=1', 'HTTPS://shop.example'],
  ['/webhook/%41%41%41%41', '/webhook/%41%41%41%41'],
  ['/webhook/%zz%zz%zz%zz%zz%zz', '/webhook/[redacted]'],
  ['/a?b=https://c/0123456789abcdef', '/a'],
  ['?conversion=success', ''],
  ['/', '/'],
  ['', ''],
])('%s may be logged as %s', (url, safe) => {
  expect(redactUrl(url)).toBe(safe)
})
