/** Whether a promise settles within `ms`. The promise must never reject. With `isUnref` the timer does not keep the process alive. */
export function settlesWithin(ms: number, promise: Promise<unknown>, { isUnref = false } = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false)
    if (isUnref) timer.unref()
    void promise.then(() => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
