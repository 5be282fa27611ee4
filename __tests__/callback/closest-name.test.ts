import { closestName } from '../../lib/util/closest-name.js'

const names = ['secret', 'scope', 'schema', 'statuses', 'handlerTimeoutMs']

test.each([
  ['secrets', 'secret'],
  ['Scope', 'scope'],
  ['shema', 'schema'],
  ['status', 'statuses'],
  ['handlerTimeout', 'handlerTimeoutMs'],
  ['handlertimeoutms', 'handlerTimeoutMs'],
  ['sekret', 'secret'],
])('%s was meant to be %s', (name, known) => {
  expect(closestName(name, names)).toBe(known)
})

test('nothing is near nothing', () => {
  expect(closestName('secret', [])).toBe('')
})
