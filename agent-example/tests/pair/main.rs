//! Both programs as processes of their own.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod slow;
