import { memoryInbox } from '../../lib/index.js'
import { describeConversions } from './conversions.js'
import type { Kind } from './inboxes.js'
import { describeOperators } from './operators.js'

const memory: Kind = {
  isDurable: false,
  storage: () => Promise.resolve({ open: () => Promise.resolve(memoryInbox()), dispose: () => Promise.resolve() }),
}

describe('memoryInbox', () => {
  describe('conversions', () => describeConversions(memory))
  describe('operators', () => describeOperators(memory))
})
