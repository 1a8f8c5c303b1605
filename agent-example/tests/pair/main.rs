//! Both programs as processes of their own.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod refusals;
