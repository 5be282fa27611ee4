import { maskAddresses, maskEmail, maskName } from '../../lib/inspector/mask.js'

test.each([
  ['Robert Downy', 'R•••'],
  ['山田 花子', '山•••'],
  ['👩‍👩‍👧 Groß', '👩‍👩‍👧•••'],
  ['é', 'é•••'],
  ['', ''],
])('the name %p is shown as %p', (name, masked) => {
  expect(maskName(name)).toBe(masked)
})

test.each([
  ['robert@example.com', 'r•••@e•••.com'],
  ['r@x.co.uk', 'r•••@x•••.uk'],
  ['root@localhost', 'r•••@l•••'],
  ['a@b@example.org', 'a•••@e•••.org'],
  ['no address', 'n•••'],
])('the address %p is shown as %p', (email, masked) => {
  expect(maskEmail(email)).toBe(masked)
})

test.each([
  ['account of <robert@example.com>, not eva@x.org', 'account of <r•••@e•••.com>, not e•••@x•••.org'],
  ['mailto:robert@example.com', 'mailto:r•••@e•••.com'],
  ['order A-1 @ 10 %', 'order A-1 @ 10 %'],
])('every address in %p is masked', (text, masked) => {
  expect(maskAddresses(text)).toBe(masked)
})
